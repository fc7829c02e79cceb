"""The join seen from outside: topics read again, totals reconciled, dead letters listed and replayed.

Reads `events`, `examples`, `dead-letters` and the join's committed positions.
Writes `events`, only to replay dead letters.
Guarantees that every event of the log is found in exactly one fate, or named as lost, doubled or differing.
Fails with LogUnreadable, RightMissing or TopicError when a topic cannot be read whole; a difference is a result, not
an error.
"""
