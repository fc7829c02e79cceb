"""Turns each row of an existing log into events.

Reads Parquet, CSV and JSON-lines files, and the join's committed position to set its pace.
Writes `events`, and `dead-letters` for rows that cannot be events.
Guarantees that every row is counted once, as events or as a dead letter, and that the same file gives the same events.
Fails with MappingError or LogFileError when a file or its mapping as a whole is wrong, with ReplayStalled when the join
does not keep up, with ReplayIncomplete when events were not acknowledged, and with NothingReplayed when there is no
row or every row is bad.
"""

from producers.replay.column_mapping import load_mapping
from producers.replay.log_rows import read_rows
from producers.replay.replay_pacing import KafkaReaderLag, LagPacer, Pacer
from producers.replay.replay_run import ReplayIncomplete, ReplayPlan, ReplaySummary, replay_rows

__all__ = [
    "KafkaReaderLag",
    "LagPacer",
    "Pacer",
    "ReplayIncomplete",
    "ReplayPlan",
    "ReplaySummary",
    "load_mapping",
    "read_rows",
    "replay_rows",
]
