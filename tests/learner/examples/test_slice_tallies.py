"""Exploration above or below its rates is detected; correct logs pass."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binomtest

from event_schemas.units import DAY_MS
from learner.examples.slice_tallies import ArmDay, RatedDecisions, SliceTallies, SpanDay, SpanTotal
from serving_agent.decide.exploration_cap import ExplorationCap


@given(st.integers(0, 2**70), st.integers(0, 2**70), st.floats(0.001, 0.9))
def test_no_count_is_too_large_to_be_weighed(explored: int, others: int, rate: float) -> None:
    decisions = explored + others
    p_value = RatedDecisions(decisions, explored, rate * decisions).p_value(1.0, may_be_fewer=True)
    assert 0.0 <= p_value <= 1.0
    if decisions > 10**6:
        share = explored / decisions
        assert p_value < 1e-6 if share > rate + 0.05 else p_value > 1 - 1e-6 if share < rate - 0.05 else True


@pytest.mark.parametrize("decisions", [10**12, 10**15, 10**18, 10**30])
@pytest.mark.parametrize(("more", "judged"), [(1.5, False), (0.5, True)])
def test_the_share_tells_among_any_number_of_decisions(decisions: int, more: float, judged: bool) -> None:
    explored = int(decisions * 0.0125 * more)
    p_value = RatedDecisions(decisions, explored, decisions * 0.0125).p_value(1.0, may_be_fewer=True)
    assert p_value > 0.99 if judged else p_value < 1e-12


def test_no_tallies_say_nothing() -> None:
    assert RatedDecisions().p_value(1.0) == 1.0


def rated(explored: int, decisions: int, rate_sum: float, variance: float = 0.0) -> RatedDecisions:
    return RatedDecisions(decisions, explored, rate_sum, variance)


def test_known_rates_are_tested_on_both_sides() -> None:
    """The cap is never used: with ε_t at half of it, twice too many explored are found, and so is a loss."""
    assert rated(60, 10_000, 62.5).p_value(1.0) > 0.5
    assert rated(125, 10_000, 62.5).p_value(1.0) < 1e-9
    assert rated(20, 10_000, 62.5).p_value(1.0) < 1e-9
    tested = binomtest(160, 10_000, 0.0125)
    assert rated(160, 10_000, 125.0).p_value(1.0) == pytest.approx(tested.pvalue, rel=0.2)


def test_a_kill_explores_nothing() -> None:
    assert rated(0, 10_000, 0.0).p_value(1.0) == 1.0
    assert rated(1, 10_000, 0.0).p_value(1.0) == 0.0
    assert rated(10_000, 10_000, 10_000.0).p_value(1.0) == 1.0


DIGEST = "d" * 64
ARMS = {ArmDay(3, "EXPLORE", 0): 60, ArmDay(3, "POLICY", 1): 9_940, ArmDay(4, "POLICY", 1): 30}
SPANS = {
    SpanDay(DIGEST, 3): SpanTotal(3 * DAY_MS, 3 * DAY_MS + 9, 6_000, 6_000, 60.0, 6_000.0),
    SpanDay("e" * 64, 3): SpanTotal(3 * DAY_MS + 10, 3 * DAY_MS + 50, 4_000, 4_000, 2.5, 4_000.0),
    SpanDay(DIGEST, 4): SpanTotal(4 * DAY_MS, 4 * DAY_MS, 29, 29, 0.3, 29.0),
}


def test_a_day_is_rated_if_the_spans_have_all_its_decisions() -> None:
    tallies = SliceTallies({"EXPLORE": 60, "POLICY": 9_970}, {}, ARMS, SPANS)
    variance = sum(SPANS[SpanDay(digest, 3)].variance for digest in (DIGEST, "e" * 64))
    [(day, rated_day)] = tallies.rated.items()
    assert (day, rated_day) == (3, RatedDecisions(10_000, 60, 62.5, rated_day.variance))
    assert rated_day.variance == pytest.approx(variance)
    assert tallies.spans_by_day[3].last_event_time == 3 * DAY_MS + 50
    assert tallies.by_day[4] == {"POLICY": 30}
    assert sum(tallies.undated.values()) == 0


def test_what_no_tally_places_on_a_day_is_left() -> None:
    """Sources of both versions: those of version 1 name no days."""
    both = SliceTallies({"EXPLORE": 70, "POLICY": 19_960}, {}, ARMS, SPANS)
    assert both.undated == {"EXPLORE": 10, "POLICY": 9_990}


def test_days_of_which_decisions_may_be_counted_elsewhere_are_not_dated() -> None:
    assert SliceTallies({}).dated(0)
    version_1 = SliceTallies({}, undated_until=4 * DAY_MS)
    deleted = SliceTallies({}, kept_from=2 * DAY_MS + 5, undated_until=DAY_MS)
    assert [version_1.dated(day) for day in (4, 5)] == [False, True]
    assert [deleted.dated(day) for day in (2, 3)] == [False, True]


def test_the_larger_design_effect_counts() -> None:
    values = [rated(200, 10_000, 125.0, 125.0 * 0.9875 * 2.0).p_value(effect) for effect in (1.0, 2.0, 4.0)]
    assert values[0] == values[1] < values[2]


def sizes_of(kind: str, rng: np.random.Generator) -> NDArray[np.int64]:
    """Decisions of 3,000 sessions: geometric with mean 2.5, or heavy-tailed with a standard deviation of about 4."""
    if kind == "geometric":
        return rng.geometric(1 / 2.5, 3_000)
    return np.minimum(np.ceil(rng.pareto(1.8, 3_000)), 100.0).astype(np.int64)


def session_logs(kind: str, drawn: float, logs: int) -> Iterator[RatedDecisions]:
    """Logs of sessions tallied with ε_t = 0.05, or 0 in the third under a kill, that were drawn with `drawn` · ε_t."""
    rng = np.random.default_rng(11)
    for _ in range(logs):
        sizes = sizes_of(kind, rng)
        rates = np.where(np.arange(len(sizes)) < 1_000, 0.0, 0.05)
        explored = int(sizes[rng.random(len(sizes)) < rates * drawn].sum())
        decisions, rate_sum = int(sizes.sum()), float((sizes * rates).sum())
        span = SpanTotal(0, 0, decisions, len(sizes), rate_sum, float((sizes**2).sum()))
        yield rated(explored, decisions, rate_sum, span.variance)


@pytest.mark.parametrize("kind", ["geometric", "heavy"])
def test_correct_session_logs_alarm_at_the_nominal_rate(kind: str) -> None:
    """A nominal 5 % is 100 ± 10 of 2,000 logs. Taking requests for the units, more than 500 alarm."""
    logs = list(session_logs(kind, 1.0, 2_000))
    assert 0.02 <= np.mean([log.p_value(1.0) < 0.05 for log in logs]) <= 0.065
    by_request = [rated(log.explored, log.decisions, log.rate_sum) for log in logs]
    assert np.mean([log.p_value(1.0) < 0.05 for log in by_request]) > 0.25


@pytest.mark.parametrize(("kind", "drawn"), [("geometric", 2.0), ("heavy", 2.0), ("geometric", 0.4), ("heavy", 0.2)])
def test_sessions_that_explore_at_another_rate_are_found(kind: str, drawn: float) -> None:
    assert np.mean([log.p_value(1.0) < 0.05 for log in session_logs(kind, drawn, 200)]) > 0.9


def test_forced_exploration_of_one_arm_is_found() -> None:
    """Three requests in a hundred are answered with one arm as EXPLORE, on top of correct exploration."""
    for log in session_logs("geometric", 1.0, 200):
        forced = rated(log.explored + log.decisions // 33, log.decisions, log.rate_sum, log.variance)
        assert forced.p_value(1.0) < 1e-3


def test_sessions_make_the_same_counts_weaker_evidence() -> None:
    by_request, by_session = (rated(160, 10_000, 125.0).p_value(effect) for effect in (1.0, 3.0))
    assert by_request < 0.01 < 0.05 < by_session


def capped_logs(allowed: float, length: int, logs: int) -> Iterator[RatedDecisions]:
    """Logs of ten minutes under a cap of `allowed` per second and ten times the traffic, in sessions of this length."""
    rng = np.random.default_rng(3)
    for _ in range(logs):
        cap, count = ExplorationCap(0.2, allowed, lambda: 1.0), int(600 * 50 * allowed / length)
        starts, apart = rng.uniform(0.0, 600.0, count), rng.exponential(5.0, (count, length)).cumsum(axis=1)
        times = (starts[:, None] + apart).ravel()
        order, coins = np.argsort(times), np.repeat(rng.random(count), length)
        explored, rate_sum = 0, 0.0
        for now, coin in zip(times[order].tolist(), coins[order].tolist(), strict=True):
            rate = cap.rate(now)
            rate_sum += rate
            if coin < rate:
                cap.note_explored()
                explored += 1
        decisions = count * length
        span = SpanTotal(0, 0, decisions, count, rate_sum, float(count * length**2))
        yield rated(explored, decisions, rate_sum, span.variance)


def test_logs_under_a_cap_alarm_at_the_nominal_rate() -> None:
    """The cap looks at what explored, but each request has a coin of its own: Σ ε_t stays what is to be expected."""
    logs = list(capped_logs(1.0, 1, 60))
    assert np.mean([log.p_value(1.0) < 0.05 for log in logs]) <= 0.1
    assert np.mean([log.explored / log.rate_sum for log in logs]) == pytest.approx(1.0, abs=0.02)


def test_sessions_under_a_low_cap_explore_less_than_their_rates_say_and_never_more() -> None:
    """So fewer are no evidence there; too many still are."""
    logs = list(capped_logs(0.4, 8, 60))
    assert np.mean([log.explored / log.rate_sum for log in logs]) < 0.98
    assert np.mean([log.p_value(1.0, may_be_fewer=True) < 0.05 for log in logs]) <= 0.1
    total = sum(log.explored for log in logs), sum(log.rate_sum for log in logs)
    doubled = rated(2 * total[0], 10**6, total[1], 8.0 * total[1])
    assert doubled.p_value(1.0, may_be_fewer=True) < 1e-6
