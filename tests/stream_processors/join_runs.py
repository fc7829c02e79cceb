"""Runs of the partition's join in tests: records in, results out, and what two runs must have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from hypothesis import note
from hypothesis import strategies as st

from event_schemas import records as r
from event_schemas.log_record import LogRecord
from stream_processors.columns.chunk_validation import ChunkValidator
from stream_processors.columns.record_columns import RecordColumns
from stream_processors.partition import columnar_holding, timer_buckets
from stream_processors.partition.partition_join import Emission, PartitionJoin, StepResult
from stream_processors.rule.fates import SILENT, Fate
from stream_processors.rule.join_rule import OutsideReason
from stream_processors.rule.reference_join import ReferenceResult
from tests.stream_processors.event_log import CODEC, EventLog, examples_by_decision, small_rule
from tests.stream_processors.event_strategies import described

VALIDATOR = ChunkValidator(CODEC, small_rule())
caps = st.sampled_from([1000, 4, 2, 1])
bucket_counts = st.sampled_from([timer_buckets.BUCKETS_PER_WINDOW, 4, 1])
"""With few buckets much comes due in one that is open already."""


def process(join: PartitionJoin, records: Sequence[LogRecord], validator: ChunkValidator = VALIDATOR) -> StepResult:
    """Validates and joins one chunk; all its results as one."""
    emissions, fates, outside, examples = list[Emission](), Counter[Fate](), Counter[OutsideReason](), 0
    for result in join.steps(validator.validate(RecordColumns.of(records))):
        emissions += result.emissions
        fates.update(result.fates)
        outside.update(result.outside)
        examples += result.examples
    return StepResult(tuple(emissions), fates, outside, examples)


def joined(log: EventLog, cap: int = 1000) -> StepResult:
    """A whole log as one chunk."""
    return process(PartitionJoin(small_rule(cap), CODEC, 0), log.records)


def example(emission: Emission) -> r.Record:
    """The Example in an emission."""
    assert emission.kind == "example"
    return CODEC.decode(emission.value).record


def reasons(result: StepResult) -> dict[int, Fate | None]:
    """The reason of each dead letter, by the offset of its event."""
    return {e.source_offset: e.reason for e in result.emissions if e.kind == "dead_letter"}


@contextmanager
def columns_beyond(few: int) -> Iterator[None]:
    """Chunks longer than this are held in columns."""
    usual, columnar_holding.FEW = columnar_holding.FEW, few
    try:
        yield
    finally:
        columnar_holding.FEW = usual


@contextmanager
def buckets_per_window(count: int) -> Iterator[None]:
    """Timers have this many buckets; the usual number gives the short windows of tests one for each millisecond."""
    usual, timer_buckets.BUCKETS_PER_WINDOW = timer_buckets.BUCKETS_PER_WINDOW, count
    try:
        yield
    finally:
        timer_buckets.BUCKETS_PER_WINDOW = usual


def assert_same_outputs(found: Sequence[Emission], wanted: Sequence[Emission]) -> None:
    """The same examples in the same order; the same dead letters, whose order depends on how the log is cut."""
    assert [e for e in found if e.kind == "example"] == [e for e in wanted if e.kind == "example"]
    assert Counter(found) == Counter(wanted)


def assert_as_reference(reference: ReferenceResult, emissions: Sequence[Emission], fates: Counter[Fate]) -> None:
    """The fates, dead letters and examples that the reference gives."""
    assert fates == Counter(fate for fate in reference.fates.values() if fate != r.PENDING)
    letters = [(e.source_offset, e.reason) for e in emissions if e.kind == "dead_letter"]
    silent = {*SILENT, r.PENDING}
    assert sorted(letters) == sorted((o, fate) for (_, o), fate in reference.fates.items() if fate not in silent)
    examples = examples_by_decision(emission.value for emission in emissions if emission.kind == "example")
    assert examples == reference.examples


def note_log(log: Iterable[LogRecord]) -> None:
    """Prints the log of a failing example."""
    for record in log:
        note(described(record))
