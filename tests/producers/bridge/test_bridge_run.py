"""Whatever happens between two steps, every source record has exactly one fate and its output is stored."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from event_schemas import records as r
from event_schemas.codec import Codec
from event_schemas.registry import Registry
from event_schemas.slices import can_be_logged
from monitoring.metrics import BridgeMetrics
from producers.bridge.bridge_run import Bridge, BridgeParts, NothingBridged
from producers.bridge.engagement_mapping import BridgeFate
from producers.bridge.raised_log_rates import RaisedLogRates
from producers.bridge.source_position import SourcePartition, SourcePosition
from producers.delivery.confirmed_writer import WriteUnconfirmed
from producers.delivery.outgoing_event import LARGEST_EVENT, OutgoingEvent
from tests.producers.bridge_samples import (
    RATES,
    TOPIC,
    Crash,
    Disk,
    MemorySource,
    MemoryWriter,
    action,
    mapper,
    source_record,
)
from tests.serving_samples import serving_experiment

CODEC = Codec(Registry.bundled())
SAMPLED = next(
    f"r-{n}"
    for n in range(100)
    if can_be_logged("pepper", f"r-{n}", exploration_rate=0.3, control_rate=0, log_rate=0.1)
)
UNSAMPLED = next(
    f"r-{n}"
    for n in range(100)
    if not can_be_logged("pepper", f"r-{n}", exploration_rate=0.3, control_rate=0, log_rate=0.1)
)
VALUES: dict[BridgeFate, bytes | None] = {
    BridgeFate.BRIDGED: action(SAMPLED),
    BridgeFate.UNSAMPLED: action(UNSAMPLED),
    BridgeFate.IGNORED: action(SAMPLED, type="VIEW"),
    BridgeFate.DEAD_LETTER: None,
}


def disk_of(*partitions: list[BridgeFate]) -> Disk:
    return Disk(
        {
            SourcePartition(TOPIC, number): [source_record(VALUES[f], offset, number) for offset, f in enumerate(fates)]
            for number, fates in enumerate(partitions)
        }
    )


def bridge(source: MemorySource, writer: MemoryWriter, registry: CollectorRegistry | None = None) -> Bridge:
    metrics = BridgeMetrics(registry or CollectorRegistry())
    return Bridge(BridgeParts(source, {TOPIC: mapper()}, CODEC, writer, "events", "dead-letters", metrics))


def never() -> bool:
    return False


def outputs(disk: Disk) -> list[tuple[str, int, int]]:
    """Where each stored event came from, in the order stored: (topic, partition, offset)."""
    places = []
    for event in disk.stored:
        record = CODEC.decode(event.value).record
        if event.record == r.DEAD_LETTER:
            places.append((record["topic"], record["partition"], record["offset"]))
        else:
            topic, partition, offset = record["engagement_id"].split("/")
            places.append((topic, int(partition), int(offset)))
    return places


def test_each_record_ends_in_one_fate_and_is_counted_in_the_commit() -> None:
    fates = [*BridgeFate, *BridgeFate, BridgeFate.BRIDGED]
    disk, registry = disk_of(fates, fates[:3]), CollectorRegistry()
    running = bridge(MemorySource(disk), MemoryWriter(disk), registry)
    running.run(never, until_end=True)

    assert running.fates == Counter(fates) + Counter(fates[:3])
    for fate, number in running.fates.items():
        assert registry.get_sample_value("trimtab_bridge_events_total", {"fate": fate.value}) == number
    assert registry.get_sample_value("trimtab_bridge_lag", {"topic": TOPIC, "partition": "0"}) == 0
    assert SourcePosition.from_commit(*disk.committed[SourcePartition(TOPIC, 0)]).fates == Counter(fates)
    summary = json.loads(json.dumps(running.summary()))
    assert summary["records"] == 12
    assert summary["committed"][TOPIC]["1"] == {
        "next_offset": 3, "bridged": 1, "unsampled": 1, "ignored": 1, "dead_letter": 0,
    }  # fmt: skip


def test_what_is_announced_is_learnt_before_the_records_of_each_round_are_mapped() -> None:
    fates = [BridgeFate.UNSAMPLED, BridgeFate.BRIDGED] * 2
    disk = disk_of(fates)
    settings = serving_experiment(experiment=RATES.model_dump()).exploration
    raised, looks = RaisedLogRates(settings, 60_000), list[int]()

    def look() -> None:
        looks.append(len(disk.stored))
        if len(looks) == 2:
            raised.note(settings.with_log_rate(1.0), source_record(None).append_time)

    metrics, source = BridgeMetrics(CollectorRegistry()), MemorySource(disk, batch=1)
    parts = BridgeParts(source, {TOPIC: mapper(raised=raised)}, CODEC, MemoryWriter(disk), "events", "dead", metrics)
    running = Bridge(replace(parts, catch_up=look))
    running.run(never, until_end=True)
    assert looks == [0, 0, 1, 2]
    assert running.fates == Counter({BridgeFate.UNSAMPLED: 1, BridgeFate.BRIDGED: 3})


@given(st.lists(st.sampled_from([*BridgeFate]), max_size=6))
def test_a_run_fails_when_all_of_its_records_were_bad(fates: list[BridgeFate]) -> None:
    disk = disk_of(fates)
    running = bridge(MemorySource(disk), MemoryWriter(disk))
    running.run(never, until_end=True)
    if fates and set(fates) == {BridgeFate.DEAD_LETTER}:
        with pytest.raises(NothingBridged, match=rf"all {len(fates)} source records .*; {TOPIC}\[0\] offset 0: "):
            running.require_good_records()
    else:
        running.require_good_records()


def test_an_engagement_is_keyed_by_its_request_and_a_dead_letter_keeps_its_bytes() -> None:
    disk = Disk({SourcePartition(TOPIC, 0): [source_record(action(SAMPLED, pin=7)), source_record(b"{", 1)]})
    bridge(MemorySource(disk), MemoryWriter(disk)).run(never, until_end=True)
    sent, letter = disk.stored
    assert (sent.topic, sent.key, sent.record, sent.partition) == ("events", SAMPLED.encode(), r.ENGAGEMENT, None)
    assert CODEC.decode(sent.value).record["item_id"] == "7"
    wrapped = CODEC.decode(letter.value).record
    assert (letter.topic, letter.key, wrapped["key"], wrapped["value"]) == ("dead-letters", b"user", b"user", b"{")
    assert wrapped["reason"] == "malformed"


def test_a_dead_letter_goes_without_a_key_that_is_too_large() -> None:
    disk = Disk({SourcePartition(TOPIC, 0): [source_record(b"{", key=b"k" * 5_000_000)]})
    bridge(MemorySource(disk), MemoryWriter(disk)).run(never, until_end=True)
    [letter] = disk.stored
    assert letter.key is None
    assert "key of 5000000 bytes left out" in CODEC.decode(letter.value).record["detail"]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_crashes_lose_nothing_and_leave_the_counts_exact(data: st.DataObject) -> None:
    fates = st.lists(st.sampled_from(list(BridgeFate)), max_size=12)
    first, second = data.draw(fates), data.draw(fates)
    disk = disk_of(first, second)
    for steps in data.draw(st.lists(st.integers(0, 25), max_size=5)):
        _run_until_crash(disk, steps, lambda opened: data.draw(st.integers(0, opened)))
    source = MemorySource(disk)
    bridge(source, MemoryWriter(disk)).run(never, until_end=True)

    written = (BridgeFate.BRIDGED, BridgeFate.DEAD_LETTER)
    due = [(TOPIC, n, o) for n, part in enumerate((first, second)) for o, fate in enumerate(part) if fate in written]
    assert set(outputs(disk)) == set(due)
    for number, part in enumerate((first, second)):
        assert source.positions[SourcePartition(TOPIC, number)].fates == Counter(part)
        firsts = list(dict.fromkeys(place for place in outputs(disk) if place[1] == number))
        assert firsts == sorted(firsts), "first copies are in source order"


def _run_until_crash(disk: Disk, steps: int, kept: Any) -> None:
    left: Iterator[int] = iter(range(steps))

    def step() -> None:
        if next(left, None) is None:
            raise Crash

    try:
        bridge(MemorySource(disk, on_step=step), MemoryWriter(disk, step, kept)).run(never, until_end=True)
    except Crash:
        return


def test_a_failed_delivery_commits_nothing_of_its_round() -> None:
    disk = disk_of([BridgeFate.BRIDGED] * 2)
    writer = MemoryWriter(disk, on_step=_fail)
    with pytest.raises(WriteUnconfirmed):
        bridge(MemorySource(disk), writer).run(never)
    assert not disk.committed


def _fail() -> None:
    raise WriteUnconfirmed("no", fix="wait")


def test_what_the_broker_refuses_becomes_a_dead_letter() -> None:
    disk, registry = disk_of([BridgeFate.BRIDGED, BridgeFate.IGNORED]), CollectorRegistry()
    writer = MemoryWriter(disk, refuses=lambda event: event.record == r.ENGAGEMENT)
    running = bridge(MemorySource(disk), writer, registry)
    running.run(never, until_end=True)
    assert running.fates == {BridgeFate.DEAD_LETTER: 1, BridgeFate.IGNORED: 1}
    assert CODEC.decode(disk.stored[0].value).record["reason"] == "too_large"


@pytest.mark.parametrize("first", [BridgeFate.BRIDGED, BridgeFate.DEAD_LETTER])
def test_a_refused_dead_letter_ends_the_bridge(first: BridgeFate) -> None:
    disk = disk_of([first])
    with pytest.raises(WriteUnconfirmed, match=r"refuses the dead letter of shop.actions\[0\] offset 0"):
        bridge(MemorySource(disk), MemoryWriter(disk, refuses=_everything)).run(never)
    assert not disk.committed


def _everything(_: OutgoingEvent) -> bool:
    return True


def test_an_engagement_too_large_for_the_topic_becomes_a_dead_letter() -> None:
    large = source_record(action(SAMPLED, pin="x" * LARGEST_EVENT))
    disk = Disk({SourcePartition(TOPIC, 0): [large]})
    bridge(MemorySource(disk), MemoryWriter(disk)).run(never, until_end=True)
    assert CODEC.decode(disk.stored[0].value).record["reason"] == "too_large"


def test_it_ends_when_it_is_told_to() -> None:
    disk, asked = disk_of([BridgeFate.BRIDGED] * 9), iter([False, True])
    bridge(MemorySource(disk), MemoryWriter(disk)).run(lambda: next(asked))
    assert disk.committed[SourcePartition(TOPIC, 0)][0] == 3
