"""Fakes for tests of code that uses Trimtab: a node, a log and a policy store in memory, and a manual clock.

Reads the experiment file that a test names.
Writes nothing: what is logged stays in the memory of the test's process.
Guarantees that a node here decides, confirms and logs by the code that serves in production.
"""

from policy_store.backends import MemoryStore
from producers.delivery import MemoryLog
from trimtab.testing.manual_clock import ManualClock
from trimtab.testing.memory_node import MemoryNode, memory_node

__all__ = ["ManualClock", "MemoryLog", "MemoryNode", "MemoryStore", "memory_node"]
