"""`trimtab status`: how the configured experiment is doing, and what to do next.

Reads the topics' offsets and the join's commits, the policy store, and the checkpoints of this machine.
Writes nothing.
Guarantees that the others are still shown if one component does not answer, and that the next action depends on the
facts alone.
"""
