"""Runs the join's core over a log in a file: validation and the join of one partition, without Kafka.

`benchmarks.join_versions` starts this file as a script, with the packages of this or another checkout on the path. For
each line that it reads it joins the log once and answers with a line of figures. It imports nothing of `benchmarks`,
because the other checkout may not have it.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from event_schemas.codec import Codec
from event_schemas.experiment import load_experiment
from event_schemas.registry import Registry
from stream_processors.columns.chunk_validation import ChunkValidator
from stream_processors.columns.record_columns import RecordColumns
from stream_processors.partition.partition_join import PartitionJoin
from stream_processors.rule.join_rule import JoinRule

COLLECTOR_THRESHOLDS = (10_000, 20, 50)
"""Those of `stream_processors.worker.gc_tuning`, whose package would load Kafka clients."""
CHUNK = 5_000
"""Records that are validated and joined at a time; a worker takes about as many."""


class LogInMemory:
    """The records of a log file, written by `benchmarks.join_versions`, in chunks."""

    def __init__(self, path: Path) -> None:
        frame = pl.read_ipc(path)
        self.records = frame.height
        self._columns = [frame[name].to_list() for name in ("append_time", "key", "value")]

    def chunks(self) -> Iterator[RecordColumns]:
        """All records, in order."""
        for start in range(0, self.records, CHUNK):
            times, keys, values = (column[start : start + CHUNK] for column in self._columns)
            yield RecordColumns("events", 0, list(range(start, start + len(keys))), times, keys, values)


def joined(log: LogInMemory, rule: JoinRule, codec: Codec) -> dict[str, Any]:
    """The seconds of CPU that one join of the log took, and what came out of it."""
    validator, join = ChunkValidator(codec, rule), PartitionJoin(rule, codec, 0)
    examples = letters = 0
    validation = 0.0
    gc.collect()
    start = time.process_time()
    for chunk in log.chunks():
        began = time.process_time()
        validated = validator.validate(chunk)
        validation += time.process_time() - began
        for result in join.steps(validated):
            examples += result.examples
            letters += len(result.emissions) - result.examples
    seconds = time.process_time() - start
    return {"cpu_s": seconds, "validation_cpu_s": validation, "examples": examples, "dead_letters": letters}


def main(experiment: str, log: str) -> None:
    """Join the log once for each line on standard input."""
    held, rule = LogInMemory(Path(log)), JoinRule.from_experiment(load_experiment(Path(experiment)))
    codec = Codec(Registry.bundled())
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTOR_THRESHOLDS)
    for _ in sys.stdin:
        sys.stdout.write(json.dumps(joined(held, rule, codec)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
