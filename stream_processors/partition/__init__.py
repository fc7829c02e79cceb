"""The join of one partition: open decisions, when they close, and how far it is safe to commit.

Reads validated records in offset order.
Writes nothing: `PartitionJoin` returns emissions (examples and dead letters) and a `CommitPosition`.
Guarantees what `stream_processors.rule.reference_join` defines, in bounded memory, and the same bytes again after a
restart at its position.
Fails with CommitUnreadable on a committed text of another kind. It defines LogReplaced and LogTruncated, for a log that
is no longer the one the position counts in.
"""

from stream_processors.partition.commit_position import CommitUnreadable, LogReplaced, LogTruncated

__all__ = [
    "CommitUnreadable",
    "LogReplaced",
    "LogTruncated",
]
