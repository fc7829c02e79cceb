"""One batch from the spool: when it ends, where failed events go, and when the next batch may begin."""

from __future__ import annotations

from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from producers.delivery.resend_round import ResendOutcome, ResendRound, RoundEnd
from tests.producers.spool_events import events

ONE, TWO = events(2)


class Clock:
    """A clock in seconds that the test advances."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_round_ends_when_every_event_is_settled() -> None:
    batch = ResendRound(retry_s=5)
    assert batch.due()
    batch.start_batch(2)
    batch.note(ONE, "delivered")
    assert not batch.finished()
    assert not batch.due()
    batch.note(TWO, "delivered")
    assert batch.finished()
    assert batch.end_batch() == RoundEnd()
    assert batch.due()
    assert not batch.finished()


def test_after_a_failure_the_next_round_waits() -> None:
    clock = Clock()
    batch = ResendRound(retry_s=5, clock=clock)
    batch.start_batch(2)
    batch.note(ONE, "undelivered")
    batch.note(TWO, "delivered")
    assert batch.end_batch() == RoundEnd(first=[ONE])
    assert not batch.due()
    clock.now = 5.0
    assert batch.due()


@given(
    outcomes=st.lists(st.sampled_from(get_args(ResendOutcome)), min_size=1, max_size=20),
    heard=st.booleans(),
    up=st.booleans(),
)
def test_what_a_broker_that_is_there_does_not_take_holds_up_nothing(
    outcomes: list[ResendOutcome], heard: bool, up: bool
) -> None:
    clock, asked = Clock(), []
    batch = ResendRound(retry_s=5, clock=clock)
    batch.start_batch(len(outcomes))
    by: dict[str, list[object]] = {outcome: [] for outcome in get_args(ResendOutcome)}
    for event, outcome in zip(events(len(outcomes)), outcomes, strict=True):
        batch.note(event, outcome)
        by[outcome].append(event)
    if heard:
        batch.hear()

    def answers() -> bool:
        asked.append(True)
        return up

    end = batch.end_batch(answers)
    known = heard or bool(by["delivered"] or by["refused"] or by["expired"])
    there = known or up
    assert end.aside == by["expired"]
    assert end.last == [*by["refused"], *(by["timed_out"] if there else [])]
    assert end.first == [*([] if there else by["timed_out"]), *by["undelivered"]]
    assert bool(asked) == (bool(by["timed_out"]) and not known), "only then is it worth a question"
    assert batch.due() == (bool(by["delivered"]) and not end.first)
    clock.now = 5.0
    assert batch.due()
    batch.start_batch(1)
    batch.note(ONE, "timed_out")
    assert batch.end_batch() == RoundEnd(first=[ONE]), "what was heard before does not count"
