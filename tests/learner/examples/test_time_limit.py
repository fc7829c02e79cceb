"""The limit is the earlier of the clock's and the operator's; in replay only the operator's counts."""

from hypothesis import given
from hypothesis import strategies as st

from event_schemas.experiment_sections import JoinSpec
from event_schemas.units import DAY_MS
from learner.examples.time_limit import ENDLESS, TimeLimit

NOW = 1_800_000_000_000
LIVE = JoinSpec(max_future_skew=7, clock="live")
REPLAY = JoinSpec(clock="replay")


@given(not_after=st.none() | st.integers(0, 2**62))
def test_the_earlier_one_holds(not_after: int | None) -> None:
    by_clock = NOW + 7 + DAY_MS
    live = TimeLimit.of_join(LIVE, lambda: NOW, not_after)
    replay = TimeLimit.of_join(REPLAY, lambda: NOW, not_after)
    assert live.latest() == (by_clock if not_after is None else min(by_clock, not_after))
    assert replay.latest() == (ENDLESS if not_after is None else not_after)


def test_the_clock_is_asked_each_time() -> None:
    times = iter([NOW, NOW + 1])
    limit = TimeLimit.of_join(LIVE, lambda: next(times))
    assert limit.latest() + 1 == limit.latest()
