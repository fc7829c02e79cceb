"""The generator's reference is what the product's own slow reference makes of the same log."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from benchmarks.bench_broker import EXPERIMENT
from benchmarks.event_stream import EventStream, StreamSettings
from benchmarks.example_tally import ExampleTally
from benchmarks.join_latency import EXPERIMENT as LIVE
from benchmarks.output_check import example_facts
from event_schemas import records as r
from event_schemas.codec import Codec
from event_schemas.experiment import load_experiment
from event_schemas.log_record import LogRecord
from event_schemas.registry import Registry
from producers.topics.key_partition import partition_of
from stream_processors.rule.join_rule import JoinRule
from stream_processors.rule.reference_join import ReferenceResult, reference_join

CODEC = Codec(Registry.bundled())
PARTITIONS = 4
SETTINGS = StreamSettings(requests=400, requests_per_s=2.0, seed=3)


def stream(experiment: Path = EXPERIMENT, settings: StreamSettings = SETTINGS) -> EventStream:
    return EventStream(load_experiment(experiment), CODEC, settings)


def joined(source: EventStream) -> ReferenceResult:
    """The stream, partitioned as on the broker and closed by heartbeats, through the reference join."""
    records, offsets = [], [0] * PARTITIONS
    events = [(partition_of(event.key, PARTITIONS), event.key, event.value) for event in source.events()]
    heartbeats = [(partition, None, source.heartbeat()) for partition in range(PARTITIONS)]
    for partition, key, value in [*events, *heartbeats]:
        records.append(LogRecord("events", partition, offsets[partition], 2_000_000_000_000, key, value))
        offsets[partition] += 1
    return reference_join(JoinRule.from_experiment(source.experiment), CODEC, records)


@pytest.mark.parametrize("experiment", [EXPERIMENT, LIVE], ids=["replay", "live"])
def test_the_reference_is_what_the_reference_join_yields(experiment: Path) -> None:
    source = stream(experiment)
    result = joined(source)
    tally = ExampleTally()
    examples = [
        LogRecord("examples", 0, 0, 0, key.request_id.encode(), value) for key, value in result.examples.items()
    ]
    for facts in example_facts(examples):
        tally.add(facts)
    assert tally == source.reference
    assert tally.examples == SETTINGS.requests


def test_nothing_is_late_or_left_open_and_every_other_fate_occurs() -> None:
    fates = Counter(joined(stream()).fates.values())
    assert {"joined", "duplicate", "outside", "orphan"} == set(fates)
    assert fates["orphan"] < 0.03 * fates.total()


def test_the_same_settings_give_the_same_bytes() -> None:
    assert list(stream().events()) == list(stream().events())


def test_another_seed_gives_other_bytes() -> None:
    other = StreamSettings(SETTINGS.requests, SETTINGS.requests_per_s, seed=4)
    assert list(stream().events()) != list(stream(settings=other).events())


def test_events_come_in_order_of_arrival_and_out_of_order_by_less_than_the_lateness() -> None:
    events = list(stream().events())
    assert [event.arrival_ms for event in events] == sorted(event.arrival_ms for event in events)
    assert all(0 <= event.arrival_ms - event.event_ms < 30_000 for event in events)
    assert [event.event_ms for event in events] != sorted(event.event_ms for event in events)


def test_records_are_of_the_size_the_claims_speak_of() -> None:
    sizes: dict[str, list[int]] = {}
    for event in stream().events():
        sizes.setdefault(CODEC.decode(event.value).name, []).append(len(event.value))
    means = {name: sum(values) / len(values) for name, values in sizes.items()}
    assert 680 < means[r.REQUEST] < 760
    assert 45 < means[r.PROPENSITY] < 65
    assert 60 < means[r.ENGAGEMENT] < 80
    assert 4.2 < sum(map(len, sizes.values())) / SETTINGS.requests < 4.8
