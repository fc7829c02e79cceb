"""Every state and every event: the table of the module, line by line, and its invariants."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest

from policy_store.records.revision_rules import DecisionOrder
from serving_agent.pickup.channel_state import (
    ChannelState,
    Event,
    InPlace,
    Judged,
    Lapsed,
    Newest,
    Prolonged,
    Rebased,
    Rejected,
    Restored,
    Service,
    Sight,
    Told,
    is_news,
)
from serving_agent.pickup.checkpoint_pickup import PickupResult
from tests.serving_agent.channel_samples import (
    AFTER_EXPIRY,
    BAD,
    NEXT,
    SERVED,
    STATES,
    WAITS,
    broken,
    broken_between,
    place_of,
    policy_of,
    saying,
    serving,
    state_of,
)
from tests.serving_samples import NOW

TOLD = saying(PickupResult.UNVERIFIED, "something new", highest=8)
VOIDED = frozenset({WAITS.record.hash})


def judged(result: PickupResult) -> Judged:
    policy = policy_of(NEXT) if result is PickupResult.ACCEPTED else None
    return Judged(NEXT, saying(result, policy=policy, highest=8), place_of(NEXT), 40)


EVENTS: dict[str, Event] = {
    "what serves is in place": InPlace(),
    "what serves is prolonged": Prolonged(AFTER_EXPIRY, place_of(BAD)),
    "what serves lapses": Lapsed(SERVED.record, TOLD),
    "what waits lapses": Lapsed(WAITS.record, TOLD),
    "another record lapses": Lapsed(NEXT.record, TOLD),
    "rejected this time": Rejected(TOLD),
    "what serves is rejected": Rejected(TOLD, SERVED.record),
    "what waits is rejected": Rejected(TOLD, WAITS.record),
    "another record is rejected": Rejected(TOLD, NEXT.record),
    "accepted": judged(PickupResult.ACCEPTED),
    "live heads drift": judged(PickupResult.LIVE_DRIFT),
    "its values drift": judged(PickupResult.Q_DRIFT),
    "fails the contract": judged(PickupResult.CONTRACT),
    "re-based": Rebased(frozenset()),
    "re-based, what waits is void": Rebased(VOIDED),
    "restored": Restored(serving(BAD), Told(saying(PickupResult.ACCEPTED, policy=policy_of(BAD)).verdict)),
}
AS_BEFORE = ("EMPTY SERVING STALE", "OPEN WAITING REFUSED BLOCKED")
FRESH, OPEN = "EMPTY SERVING SERVING", "OPEN OPEN OPEN OPEN"
REFUSED = "REFUSED BLOCKED REFUSED BLOCKED"
TABLE = {
    "what serves is in place": (FRESH, AS_BEFORE[1]),
    "what serves is prolonged": (FRESH, OPEN),
    "what serves lapses": ("EMPTY STALE STALE", AS_BEFORE[1]),
    "what waits lapses": (AS_BEFORE[0], "OPEN OPEN REFUSED REFUSED"),
    "another record lapses": AS_BEFORE,
    "rejected this time": AS_BEFORE,
    "what serves is rejected": (AS_BEFORE[0], REFUSED),
    "what waits is rejected": (AS_BEFORE[0], "REFUSED REFUSED REFUSED REFUSED"),
    "another record is rejected": (AS_BEFORE[0], REFUSED),
    "accepted": ("SERVING SERVING SERVING", OPEN),
    "live heads drift": (AS_BEFORE[0], "WAITING WAITING WAITING WAITING"),
    "its values drift": (AS_BEFORE[0], "WAITING WAITING WAITING WAITING"),
    "fails the contract": (AS_BEFORE[0], "REFUSED REFUSED REFUSED REFUSED"),
    "re-based": (AS_BEFORE[0], "OPEN WAITING OPEN WAITING"),
    "re-based, what waits is void": (AS_BEFORE[0], OPEN),
    "restored": ("SERVING SERVING SERVING", OPEN),
}
"""By event: what EMPTY, SERVING and STALE become, and what OPEN, WAITING, REFUSED and BLOCKED become."""


@pytest.mark.parametrize("name", EVENTS)
@pytest.mark.parametrize("state", STATES, ids=lambda state: f"{state.service.name}-{state.newest.name}")
def test_every_event_in_every_state(state: ChannelState, name: str) -> None:
    service, newest = (
        dict(zip(before.split(), after.split(), strict=True))
        for before, after in zip(AS_BEFORE, TABLE[name], strict=True)
    )
    assert broken(state) == []
    after = state.after(EVENTS[name])
    assert (after.service.name, after.newest.name) == (service[state.service.name], newest[state.newest.name])
    if name != "restored":
        assert broken_between(state, after, VOIDED) == []
    if name not in ("accepted", "restored"):
        assert (after.policy, after.revision, after.saved) == (state.policy, state.revision, state.saved)


def test_the_table_has_every_event_and_the_samples_every_state() -> None:
    assert set(TABLE) == set(EVENTS)
    assert {type(event) for event in EVENTS.values()} == set(get_args(Event))
    assert len({(state.service, state.newest) for state in STATES}) == len(Service) * len(Newest) == len(STATES)


def test_an_accepted_decision_brings_all_its_parts() -> None:
    after = state_of(Service.STALE, Newest.BLOCKED).after(EVENTS["accepted"])
    assert after == ChannelState(serving=serving(NEXT), seen=place_of(NEXT), told=after.told)
    assert after.verdict is not None
    assert (after.verdict.result, after.accepted) == (PickupResult.ACCEPTED, place_of(NEXT))


def test_what_waits_remembers_why_and_since_when() -> None:
    for cause in (PickupResult.LIVE_DRIFT, PickupResult.Q_DRIFT):
        after = state_of(Service.SERVING, Newest.OPEN).after(judged(cause))
        assert after.waiting is not None
        assert (after.waiting.verified, after.waiting.cause, after.waiting.judged_at) == (NEXT, cause, 40)
        assert after.drifted is (cause is PickupResult.LIVE_DRIFT)
        assert after.seen == place_of(NEXT) > after.accepted


def test_a_longer_life_is_kept() -> None:
    after = state_of(Service.STALE, Newest.OPEN).after(Prolonged(AFTER_EXPIRY, DecisionOrder(1, 5)))
    assert after.serving is not None
    assert (after.serving.expires_at, after.seen, after.stale) == (AFTER_EXPIRY, DecisionOrder(1, 5), False)


@pytest.mark.parametrize("newest", [Newest.WAITING, Newest.BLOCKED])
@pytest.mark.parametrize("name", ["rejected this time", "another record is rejected", "another record lapses"])
def test_a_record_that_nobody_can_accept_does_not_end_drift(newest: Newest, name: str) -> None:
    assert state_of(Service.SERVING, newest).after(EVENTS[name]).drifted


def test_what_a_record_in_the_store_is() -> None:
    state = state_of(Service.SERVING, Newest.BLOCKED)
    for decision, before, past in (
        (SERVED, Sight.IN_SERVICE, Sight.NEW),
        (WAITS, Sight.WAITS, Sight.NEW),
        (BAD, Sight.REFUSED, Sight.REFUSED),
        (NEXT, Sight.NEW, Sight.NEW),
    ):
        assert [state.sight_of(decision.record, now) for now in (NOW, AFTER_EXPIRY)] == [before, past]
        assert ChannelState().sight_of(decision.record, NOW) is Sight.NEW
    void = state.after(Rejected(TOLD, SERVED.record))
    assert void.sight_of(SERVED.record, NOW) is Sight.REFUSED
    assert void.policy is state.policy, "what is refused later serves on"


def test_nothing_was_told_and_nothing_serves_at_first() -> None:
    start = ChannelState()
    assert (start.policy, start.revision, start.verdict, start.saved) == (None, 0, None, None)
    assert (start.stale, start.drifted, start.accepted) == (False, False, DecisionOrder())


@pytest.mark.parametrize(
    ("before", "now", "news"),
    [
        (None, saying(PickupResult.EXPIRED), True),
        (saying(PickupResult.EXPIRED), saying(PickupResult.EXPIRED), False),
        (saying(PickupResult.EXPIRED), saying(PickupResult.EXPIRED, highest=8), True),
        (saying(PickupResult.EXPIRED), saying(PickupResult.UNVERIFIED), True),
        (saying(PickupResult.UNVERIFIED, "forged"), saying(PickupResult.UNVERIFIED, "emptied"), True),
        (saying(PickupResult.LIVE_DRIFT, "PSI 0.8"), saying(PickupResult.LIVE_DRIFT, "PSI 0.9"), False),
        (saying(PickupResult.Q_DRIFT, "PSI 0.8"), saying(PickupResult.Q_DRIFT, "PSI 0.9"), False),
        (saying(PickupResult.Q_DRIFT, "PSI 0.8"), saying(PickupResult.LIVE_DRIFT, "PSI 0.8"), True),
        (*(saying(PickupResult.ACCEPTED, policy=policy_of(NEXT)) for _ in range(2)), True),
    ],
)
def test_what_is_told_again_is_no_news(before: Told | None, now: Told, news: bool) -> None:
    """A verdict of drift on the same decision is told once, with whatever number; any other once in the same words."""
    assert now.adds_to(before) is news
    state = ChannelState(told=before)
    assert is_news(state, replace(state, told=now)) is news


def test_going_stale_and_fresh_again_is_news_once() -> None:
    state = state_of(Service.SERVING, Newest.OPEN)
    stale = state.after(EVENTS["what serves lapses"])
    assert [is_news(state, stale), is_news(stale, stale.after(EVENTS["what serves lapses"]))] == [True, False]
    fresh = stale.after(InPlace())
    assert [is_news(stale, fresh), is_news(fresh, fresh.after(InPlace()))] == [True, False]
