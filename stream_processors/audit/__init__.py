"""Checks the join's output against the log: reconciles the topics, and lists and replays dead letters.

Reads `events`, `examples`, `dead-letters` and the join's committed positions.
Writes `examples`, only to replay dead letters.
Guarantees that every event of the log is found with exactly one fate, or reported as lost, duplicated or differing.
Fails with LogUnreadable, LogReplaced, RightMissing or TopicError when a topic cannot be read
completely; a difference is a result, not an error.
"""

from stream_processors.audit.dead_letter_replay import LetterReplay, LetterReplaySummary, Progress
from stream_processors.audit.dead_letter_store import (
    StoredDeadLetter,
    count_reasons,
    original_record,
    read_dead_letters,
    require_reasons,
)
from stream_processors.audit.join_topics import JoinTopics
from stream_processors.audit.letter_gathering import LetterChoice
from stream_processors.audit.log_reader import LogRange, LogReader
from stream_processors.audit.offline_join import OfflineJoin
from stream_processors.audit.reconcile_run import ReconcileOutcome, reconcile
from stream_processors.audit.reconciliation import ReconcileReport
from stream_processors.audit.replayed_examples import ReplayedExamples

__all__ = [
    "JoinTopics",
    "LetterChoice",
    "LetterReplay",
    "LetterReplaySummary",
    "LogRange",
    "LogReader",
    "OfflineJoin",
    "Progress",
    "ReconcileOutcome",
    "ReconcileReport",
    "ReplayedExamples",
    "StoredDeadLetter",
    "count_reasons",
    "original_record",
    "read_dead_letters",
    "reconcile",
    "require_reasons",
]
