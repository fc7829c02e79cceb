"""One batch out of the spool: when it is over, what failed, and when the next may begin."""

from __future__ import annotations

from producers.outgoing_event import OutgoingEvent
from producers.resend_round import ResendRound

ONE, TWO = (OutgoingEvent("events", name, b"v", "Request") for name in (b"1", b"2"))


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_round_ends_when_every_event_is_settled() -> None:
    batch = ResendRound(retry_s=5)
    assert batch.due()
    batch.begin(2)
    batch.settle(ONE, delivered=True)
    assert not batch.finished()
    assert not batch.due()
    batch.settle(TWO, delivered=True)
    assert batch.finished()
    assert batch.end() == (2, [])
    assert batch.due()
    assert not batch.finished()


def test_after_a_failure_the_next_round_waits() -> None:
    clock = Clock()
    batch = ResendRound(retry_s=5, clock=clock)
    batch.begin(2)
    batch.settle(ONE, delivered=False)
    batch.settle(TWO, delivered=True)
    assert batch.end() == (1, [ONE])
    assert not batch.due()
    clock.now = 5.0
    assert batch.due()
