"""Checks the join's output against the log: reconciles the topics, and lists and replays dead letters.

Reads `events`, `examples`, `dead-letters` and the join's committed positions.
Writes `examples`, only to replay dead letters.
Guarantees that every event of the log is found with exactly one fate, or reported as lost, duplicated or differing.
Fails with LogUnreadable, RightMissing or TopicError when a topic cannot be read completely; a difference is a result,
not an error.
"""
