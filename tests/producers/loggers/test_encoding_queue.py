"""Records are encoded on the queue's own thread; those that cannot be encoded are counted."""

from __future__ import annotations

import threading
from typing import NoReturn

import pytest

from event_schemas.codec import Codec
from event_schemas.registry import Registry
from producers.delivery.memory_log import MemoryLog
from producers.delivery.outgoing_event import OutgoingEvent
from producers.loggers.encoding_queue import EncodingQueue, UnencodedEvent
from tests.components.forking import in_child, outcome_of
from tests.components.started_threads import no_thread_starts

CODEC = Codec(Registry.bundled())


def heartbeat(event_time: object) -> UnencodedEvent:
    return UnencodedEvent("events", b"k", "Heartbeat", {"event_time": event_time})


class GatedLog(MemoryLog):
    """A log that accepts nothing until its gate opens, like a sender that hangs."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()
        self.reached = threading.Event()

    def send(self, event: OutgoingEvent) -> None:
        self.reached.set()
        self.gate.wait(10)
        super().send(event)


def test_events_arrive_encoded_and_in_order() -> None:
    log = MemoryLog()
    queue = EncodingQueue(CODEC, log)
    for event_time in range(50):
        assert queue.submit(heartbeat(event_time))
    assert queue.drain(5)
    found = [CODEC.decode(record.value).record["event_time"] for record in log.records("events")]
    assert found == list(range(50))
    assert queue.close()


def test_what_runs_before_a_batch_runs_before_each_of_its_events() -> None:
    log, due = MemoryLog(partitions=1), [-2, -1]

    def send_due() -> None:
        if due:
            value = CODEC.encode("Heartbeat", {"event_time": due.pop()})
            log.send(OutgoingEvent("events", b"k", value, "Heartbeat"))

    queue = EncodingQueue(CODEC, log, before_batch=send_due)
    assert log.records("events") == [], "the thread starts with the first event"
    for event_time in range(3):
        queue.submit(heartbeat(event_time))
    assert queue.drain(5)
    due.append(7)
    queue.submit(heartbeat(8))
    assert queue.close()
    assert [CODEC.decode(each.value).record["event_time"] for each in log.records("events")] == [-1, -2, 0, 1, 2, 7, 8]


def test_a_record_its_schema_refuses_is_dropped_and_counted() -> None:
    log = MemoryLog()
    queue = EncodingQueue(CODEC, log)
    queue.submit(heartbeat("not a time"))
    queue.submit(heartbeat(7))
    assert queue.close()
    counts = log.counts()
    assert (counts.handed_in, counts.acknowledged, counts.dropped) == (2, 1, 1)


def test_a_full_queue_drops_and_never_waits() -> None:
    log = GatedLog()
    queue = EncodingQueue(CODEC, log, max_queued=3)
    queue.submit(heartbeat(0))
    assert log.reached.wait(5)
    assert queue.submit(heartbeat(1), heartbeat(2))
    assert not queue.submit(heartbeat(3), heartbeat(4)), "both or none: there is room for one only"
    assert queue.submit(heartbeat(5))
    assert not queue.drain(0.05)
    log.gate.set()
    assert queue.close()
    counts = log.counts()
    assert (counts.handed_in, counts.acknowledged, counts.dropped) == (6, 4, 2)


def test_closing_hands_over_what_is_queued_and_takes_no_more() -> None:
    log = MemoryLog()
    queue = EncodingQueue(CODEC, log)
    queue.submit(*[heartbeat(number) for number in range(100)])
    assert queue.close()
    assert len(log.records("events")) == 100
    assert not queue.submit(heartbeat(0))
    assert log.counts().dropped == 1


def test_nothing_runs_before_it_is_needed() -> None:
    with no_thread_starts():
        queue = EncodingQueue(CODEC, MemoryLog())
    assert queue.close()


def test_idle_work_is_done_without_events() -> None:
    called = threading.Event()
    queue = EncodingQueue(CODEC, MemoryLog(), on_idle=called.set)
    queue.start()
    queue.start()
    assert called.wait(5)
    assert queue.close()


class UnreadableEntry(dict[str, object]):
    """A caller's object that cannot be copied."""

    def keys(self) -> NoReturn:
        raise RuntimeError("no keys today")


class ClosedStream:
    """A logger whose stream is closed."""

    def error(self, *_: object, **__: object) -> NoReturn:
        raise ValueError("I/O operation on closed file")


def test_no_hostile_record_closed_stream_or_failing_idle_work_ends_the_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("producers.loggers.encoding_queue.log", ClosedStream())
    log, idled = MemoryLog(), threading.Event()

    def idle() -> NoReturn:
        idled.set()
        raise RuntimeError("clock broken")

    queue = EncodingQueue(CODEC, log, on_idle=idle)
    queue.submit(heartbeat("not a time"), UnencodedEvent("events", b"k", "Heartbeat", UnreadableEntry()))
    assert queue.drain(5)
    assert idled.wait(5)
    queue.submit(heartbeat(7))
    assert queue.close()
    counts = log.counts()
    assert (counts.handed_in, counts.acknowledged, counts.dropped) == (3, 1, 2)


def test_what_closing_has_no_time_for_is_dropped_and_counted() -> None:
    log = GatedLog()
    queue = EncodingQueue(CODEC, log)
    queue.submit(*[heartbeat(number) for number in range(10)])
    assert log.reached.wait(5)
    queue.submit(*[heartbeat(number) for number in range(10, 15)])
    assert not queue.close(0.05)
    log.gate.set()
    assert queue.close(5)
    counts = log.counts()
    assert (counts.handed_in, counts.acknowledged, counts.dropped) == (15, 1, 14)


def test_the_last_work_comes_after_the_last_event() -> None:
    log = MemoryLog()
    seen: list[int] = []
    queue = EncodingQueue(CODEC, log, on_close=lambda: seen.append(len(log.records("events"))))
    queue.submit(*[heartbeat(number) for number in range(20)])
    assert queue.close()
    assert queue.close()
    assert seen == [20]


def test_a_process_without_threads_to_spare_drops_and_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> NoReturn:
        raise RuntimeError("can't start new thread")

    log = MemoryLog()
    queue = EncodingQueue(CODEC, log)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert not queue.submit(heartbeat(1))
    assert queue.submit(heartbeat(2))
    assert queue.close()
    counts = log.counts()
    assert (counts.handed_in, counts.acknowledged, counts.dropped) == (2, 1, 1)


class UnreliableLog(MemoryLog):
    """A custom sender that sometimes raises."""

    def send(self, event: OutgoingEvent) -> None:
        if CODEC.decode(event.value).record["event_time"] % 2:
            raise LookupError("nobody thought of this")
        super().send(event)


def test_a_sender_that_raises_costs_its_own_events_only() -> None:
    log = UnreliableLog()
    queue = EncodingQueue(CODEC, log)
    queue.submit(*[heartbeat(number) for number in range(10)])
    assert queue.close()
    assert log.counts().acknowledged == 5


def queue_in_both() -> list[list[int]]:
    """The parent's sender hangs, its queue is full and the lock is held while it forks."""
    log = GatedLog()
    queue = EncodingQueue(CODEC, log, max_queued=3)
    queue.submit(heartbeat(0))
    log.reached.wait(60)
    queue.submit(heartbeat(1), heartbeat(2), heartbeat(3))

    def child() -> list[int]:
        log.gate = threading.Event()
        log.gate.set()
        queue.submit(heartbeat(7), heartbeat(8))
        return times()

    def times() -> list[int]:
        assert queue.close(60)
        return [CODEC.decode(record.value).record["event_time"] for record in log.records("events")]

    with queue._changed:
        told = in_child(child)
    log.gate.set()
    return [told, times()]


def test_parent_and_child_send_what_they_queued_themselves() -> None:
    assert outcome_of(queue_in_both) == [[7, 8], [0, 1, 2, 3]]
