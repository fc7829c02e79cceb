"""Reads a peer's output back and summarizes its examples; of several copies the first counts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import polars as pl

from benchmarks.example_tally import ExampleFacts, ExampleTally
from event_schemas.codec import unframe
from event_schemas.columnar import read_datums
from event_schemas.log_record import LogRecord
from event_schemas.records import EXAMPLE
from event_schemas.registry import Registry

CHUNK = 2_000


@dataclass
class OutputCheck:
    """The content of an output topic; instants are LogAppendTimes in seconds since the epoch."""

    tally: ExampleTally = field(default_factory=ExampleTally)
    second_copies: int = 0
    first_at: float | None = None
    last_at: float | None = None


def check_output(records: Iterable[LogRecord]) -> OutputCheck:
    """Check all examples of a topic; the first copy counts. Raises SchemaError for a value that is not an Example."""
    found, seen = OutputCheck(), set[str]()
    for chunk in _chunks(records):
        instants = [record.append_time / 1000 for record in chunk]
        found.first_at = min(instants if found.first_at is None else [found.first_at, *instants])
        found.last_at = max(instants if found.last_at is None else [found.last_at, *instants])
        for facts in example_facts(chunk):
            if facts.request_id in seen:
                found.second_copies += 1
            else:
                seen.add(facts.request_id)
                found.tally.add(facts)
    return found


def example_facts(records: Iterable[LogRecord]) -> Iterator[ExampleFacts]:
    """The facts of framed Examples, in order."""
    entry = Registry.bundled().newest(EXAMPLE)
    frame = read_datums(entry, [unframe(record.value)[1] for record in records])
    chosen = frame.select(
        pl.col("request_request_id"),
        pl.col("action_arm"),
        pl.col("propensity_propensity"),
        pl.col("request_user_embedding").list.len(),
        pl.col("request_history").list.len(),
        pl.col("outcome_objectives"),
    )
    for request_id, arm, propensity, embedding, history, objectives in chosen.iter_rows():
        outcomes = tuple((o["count"], o["reward"]) for o in objectives)
        yield ExampleFacts(request_id, arm, propensity, embedding, history, outcomes)


def _chunks(records: Iterable[LogRecord]) -> Iterator[list[LogRecord]]:
    source = iter(records)
    while chunk := list(islice(source, CHUNK)):
        yield chunk
