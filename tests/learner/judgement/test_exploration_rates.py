"""Each day is held against its own rates: a lowered, raised or killed rate is sound, and no day hides another."""

from dataclasses import replace

import numpy as np
import pytest

from event_schemas.units import DAY_MS
from learner.examples.slice_tallies import ArmDay, SliceTallies, SpanDay, SpanTotal
from learner.examples.stored_counts import StoredCounts
from learner.judgement.exploration_rates import Exploration, rate_parts, settings_part
from learner.judgement.gate import UNSOUND_P_VALUE

DECISIONS = 4_000
OLD, NEW = "a" * 64, "b" * 64


def tallies(rates: list[float], really: dict[int, float] | None = None, seed: int = 0) -> SliceTallies:
    """Days with these rates; `really` are those at which some days explored."""
    rng = np.random.default_rng(seed)
    arms, spans = dict[ArmDay, int](), dict[SpanDay, SpanTotal]()
    for day, rate in enumerate(rates):
        explored = int(rng.binomial(DECISIONS, (really or {}).get(day, rate)))
        arms |= {ArmDay(day, "EXPLORE", 0): explored, ArmDay(day, "POLICY", 1): DECISIONS - explored}
        at = day * DAY_MS
        spans[SpanDay(OLD, day)] = SpanTotal(at, at + 9, DECISIONS, DECISIONS, DECISIONS * rate, DECISIONS)
    counts = {name: sum(n for key, n in arms.items() if key.slice == name) for name in ("EXPLORE", "POLICY")}
    return SliceTallies(counts, {}, arms, spans)


def p_value(found: SliceTallies, days: range = range(99), highest: float = 0.05) -> float:
    return min(part.p_value for part in rate_parts(found, days, Exploration(highest)))


@pytest.mark.parametrize("rates", [[0.2] * 3 + [0.01] * 3, [0.01] * 5 + [0.3], [0.1, 0.0, 0.1], [0.0] * 4])
def test_rates_that_moved_are_sound(rates: list[float]) -> None:
    """Also with a file whose present rate is lower than that of old days."""
    found = [p_value(tallies(rates, seed=seed), highest=0.0) for seed in range(100)]
    assert min(found) > UNSOUND_P_VALUE and np.mean(np.array(found) < 0.05) <= 0.1


@pytest.mark.parametrize("factor", [0.6, 1.5])
def test_a_day_that_explores_otherwise_is_found_among_days_of_a_higher_rate(factor: float) -> None:
    """Together with days at ten times the rate its excess is ordinary."""
    found = tallies([0.5] * 20 + [0.05], {20: 0.05 * factor})
    [part] = rate_parts(found, range(99), Exploration(0.5))
    assert part.p_value < UNSOUND_P_VALUE
    assert "furthest off on 1970-01-21" in part.detail
    assert p_value(found, range(20)) > UNSOUND_P_VALUE


def test_days_without_rates_and_decisions_without_days_are_held_against_the_highest_rate() -> None:
    dated = tallies([0.05])
    unrated = replace(dated, spans={})
    assert p_value(unrated, highest=0.06) > 0.05 and p_value(unrated, highest=0.02) < UNSOUND_P_VALUE
    version_1 = SliceTallies({"EXPLORE": 900, "POLICY": 100})
    assert p_value(version_1) < UNSOUND_P_VALUE and rate_parts(SliceTallies({}), range(9), Exploration(0.5)) == []


def stored_as(explored: dict[str, int]) -> StoredCounts:
    return StoredCounts({}, {SpanDay(digest, 0): count for digest, count in explored.items()}, 0, 9, 9)


def test_settings_that_explore_otherwise_are_found_though_the_day_is_right() -> None:
    total = SpanTotal(0, 9, DECISIONS, DECISIONS, 200.0, DECISIONS)
    found = SliceTallies({}, spans={SpanDay(OLD, 0): total, SpanDay(NEW, 0): total})
    exploration = Exploration(0.05)
    sound, lossy, swapped = (
        settings_part(found, stored_as({OLD: old, NEW: new}), [0], exploration)
        for old, new in ((205, 190), (196, 196), (320, 80))
    )
    assert sound is not None and lossy is not None and swapped is not None
    assert min(sound.p_value, lossy.p_value) > 0.05 and swapped.p_value < UNSOUND_P_VALUE
    assert f"settings {NEW[:12]}… on 1970-01-01: 80 explored decisions are stored, expected 200.0" in swapped.detail
    many = SpanTotal(0, 9, 1_000_000, 1_000_000, 100_000.0, 1_000_000)
    fewer_tallied = settings_part(
        SliceTallies({}, spans={SpanDay(OLD, 0): many}), stored_as({OLD: 101_500}), [0], Exploration(0.1)
    )
    assert fewer_tallied is not None and fewer_tallied.p_value > 0.05, "1.5 % of the tallies are lost"
    capped = settings_part(found, stored_as({OLD: 200, NEW: 80}), [0], replace(exploration, may_be_fewer=True))
    assert capped is not None and capped.p_value > 0.05
    assert settings_part(found, stored_as({}), [0], exploration) is None
    assert settings_part(found, stored_as({OLD: 1}), [], exploration) is None
