"""Refusals of spooled events: named, counted by destination, and final after an hour without a break."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from monitoring.metrics import ProducerMetrics
from producers.delivery.outgoing_event import OutgoingEvent
from producers.delivery.spool_refusals import FORGET_SECONDS, SET_ASIDE_SECONDS, SpoolRefusals


class Bench:
    """Refusals with their own clock and gauge."""

    def __init__(self) -> None:
        self.now = 0.0
        self.registry = CollectorRegistry()
        self.refusals = SpoolRefusals(ProducerMetrics(self.registry), lambda: self.now)

    def shown(self) -> float | None:
        self.refusals.tell()
        return self.registry.get_sample_value("trimtab_producer_refused_destinations")


def to(topic: str, partition: int | None = None) -> OutgoingEvent:
    return OutgoingEvent(topic, b"k", b"v", "Request", partition)


def test_refusals_are_named_until_their_destination_takes_something() -> None:
    bench = Bench()
    assert (bench.refusals.fault, bench.shown()) == (None, 0.0)
    assert not bench.refusals.note_refused(to("old"), "unknown topic")
    assert not bench.refusals.note_refused(to("events", 99), "unknown partition")
    assert bench.refusals.fault == "old: unknown topic; events[99]: unknown partition"
    assert bench.shown() == 2.0
    bench.refusals.note_accepted(to("events", 1))
    bench.refusals.note_accepted(to("old"))
    assert (bench.refusals.fault, bench.shown()) == ("events[99]: unknown partition", 1.0)
    for number in range(9):
        bench.refusals.note_refused(to(f"more{number}"), "unknown topic")
    assert str(bench.refusals.fault).endswith("more1: unknown topic; and 7 more, each named in the log")


def test_only_what_is_refused_for_an_hour_on_end_is_given_up() -> None:
    bench = Bench()
    while bench.now < SET_ASIDE_SECONDS:
        assert not bench.refusals.note_refused(to("old"), "unknown topic")
        assert not bench.refusals.note_refused(to("flaky"), "no right")
        bench.now += FORGET_SECONDS / 2
        bench.refusals.tell()
        if bench.now == SET_ASIDE_SECONDS - FORGET_SECONDS:
            bench.refusals.note_accepted(to("flaky"))
    assert bench.refusals.note_refused(to("old"), "unknown topic")
    assert not bench.refusals.note_refused(to("flaky"), "no right")
    assert not bench.refusals.note_refused(to("old", 3), "another destination"), "a partition is one of its own"


def test_what_is_refused_no_more_is_forgotten() -> None:
    bench = Bench()
    bench.refusals.note_refused(to("old"), "unknown topic")
    bench.now = FORGET_SECONDS + 1
    assert (bench.shown(), bench.refusals.fault) == (0.0, None)
    bench.now = 2 * SET_ASIDE_SECONDS
    assert not bench.refusals.note_refused(to("old"), "unknown topic")
