"""`trimtab status`: how the configured experiment is doing, and what to do next.

Reads the topics' offsets and the join's commits, the policy store, and the checkpoints of this machine.
Writes nothing.
Guarantees that a component which does not answer hides nothing of the others, and that the next action follows from the
facts alone.
"""
