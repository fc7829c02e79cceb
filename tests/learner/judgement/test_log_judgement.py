"""The verdict on a log: sound with the tallies of its producers, unverified without, unsound for any of its faults."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from benchmarks.soundness import FAULTS, sound_worlds
from benchmarks.soundness_logs import SoundnessWorld, judged, soundness_experiment
from learner.examples.heavy_units import heavy_units, without_units
from learner.examples.slice_tallies import ArmDay, SliceTallies, SpanDay, SpanTotal
from learner.examples.stored_counts import StoredCounts
from learner.examples.tally_shelf import KeptTallies
from learner.judgement.gate import UNSOUND_P_VALUE
from learner.judgement.log_judgement import ExploredLog, judge_log
from learner.judgement.log_soundness import LogSoundness, LogVerdict
from tests.learner_samples import START, World, tallied

FIRST_REASONS = {
    "factor_up": {"inverse_propensity"},
    "factor_down": {"inverse_propensity"},
    "half_the_arms": {"chi_square"},
    "half_the_arms_with_foreign": {"inverse_propensity"},
    "arms_missing": {"counts", "chi_square"},
    "zeros_dropped": {"counts"},
    "doubled": {"counts"},
    "bot": {"heavy_unit"},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_stops_its_logs(fault: str) -> None:
    experiment, rng = soundness_experiment("request"), np.random.default_rng(7)
    found = [judged(SoundnessWorld(fault, fault=fault), experiment, rng) for _ in range(3)]
    assert {each.verdict for each in found} == {LogVerdict.UNSOUND}
    assert {each.reasons[0].code for each in found} <= FIRST_REASONS[fault]


@pytest.mark.parametrize("world", sound_worlds(2_000), ids=lambda world: world.name)
def test_sound_logs_are_sound(world: SoundnessWorld) -> None:
    experiment, rng = soundness_experiment("session" if world.by_session else "request"), np.random.default_rng(8)
    found = Counter(judged(world, experiment, rng).verdict for _ in range(20))
    assert found == {LogVerdict.SOUND: 20}


def verdict_on(world: World, examples: list[dict[str, Any]], tallies: SliceTallies, **kept: Any) -> LogSoundness:
    rows = world.rows(examples)
    heavy = heavy_units(rows)
    stored = StoredCounts.of(rows.frame)
    log = ExploredLog(without_units(rows, heavy), (), rows.frame[:0], heavy, stored)
    return judge_log(log, world.experiment, KeptTallies(tallies, **kept))


def test_a_log_is_sound_with_tallies_and_unverified_without(world: World) -> None:
    examples = world.examples(2_000)
    told = tallied(world.experiment, examples)
    sound = verdict_on(world, examples, told)
    assert (sound.verdict, sound.reasons, sound.doubt) == (LogVerdict.SOUND, (), "")
    without = verdict_on(world, examples, SliceTallies({}))
    assert without.verdict is LogVerdict.COMPLETENESS_UNVERIFIED
    assert [each.code for each in without.reasons] == ["completeness_unverified"]
    old = verdict_on(world, examples, SliceTallies({"EXPLORE": 2_000, "POLICY": 2_000}, undated_until=START * 2))
    assert old.verdict is LogVerdict.COMPLETENESS_UNVERIFIED


def test_a_missing_arm_is_named_with_its_numbers(world: World) -> None:
    examples = world.examples(3_000)
    told = tallied(world.experiment, examples)
    left = [each for each in examples if each["action"]["arm"] != 4]
    found = verdict_on(world, left, told)
    [reason] = [each for each in found.reasons if each.code == "counts"]
    name, missing = world.experiment.action_space.arm_names[4], len(examples) - len(left)
    assert f"EXPLORE, arm {name}: {missing} of {missing} counted decisions are not stored" in reason.sentence
    assert found.as_dict()["verdict"] == "unsound"


def test_later_examples_are_not_held_against_kept_tallies(world: World) -> None:
    """They were read while 2,000 examples were stored; 1,000 more came since, all on the last of two days."""
    examples = world.examples(3_000)
    told = tallied(world.experiment, examples[:2_000])
    newest = examples[1_999]["request"]["event_time"]
    assert verdict_on(world, examples, told).verdict is LogVerdict.UNSOUND
    assert verdict_on(world, examples, told, newest_example=newest).verdict is LogVerdict.COMPLETENESS_UNVERIFIED
    assert verdict_on(world, examples[:2_000], told, newest_example=newest).verdict is LogVerdict.SOUND


def rates_of(unit: str, cap: float | None, rate: float = 0.5) -> Mapping[str, Any]:
    return {"name": "x", "salt": "s", "exploration_rate": rate, "exploration_unit": unit, "exploration_cap": cap}


@pytest.mark.parametrize(
    ("unit", "cap", "doubted"), [("session", 5.0, False), ("session", None, True), ("request", 5.0, True)]
)
def test_only_sessions_under_a_cap_may_explore_less_than_their_rates_say(
    make_experiment: Any, make_world: Any, unit: str, cap: float | None, doubted: bool
) -> None:
    world, day = make_world(make_experiment(experiment=rates_of(unit, cap))), START // 86_400_000
    arms = {ArmDay(day, "EXPLORE", 0): 400, ArmDay(day, "POLICY", 0): 9_600}
    spans = {SpanDay("d" * 64, day): SpanTotal(START, START, 10_000, 10_000, 600.0, 10_000.0)}
    fewer = SliceTallies({"EXPLORE": 400, "POLICY": 9_600}, {}, arms, spans)
    found = [each for each in verdict_on(world, world.examples(50), fewer).faults if each.code == "rates"]
    assert bool(found) == doubted


def test_a_rate_that_was_lowered_since_is_no_fault(make_experiment: Any, make_world: Any) -> None:
    """Rows say that they explored at 0.5; the file's rate is 0.01 today, and old producers told no rates."""
    world = make_world(make_experiment(experiment=rates_of("request", None, 0.01)))
    examples = world.examples(2_000)
    dated = verdict_on(world, examples, tallied(world.experiment, examples))
    undated = verdict_on(world, examples, SliceTallies({"EXPLORE": 2_000, "POLICY": 2_000}, undated_until=START * 2))
    assert (dated.verdict, undated.verdict) == (LogVerdict.SOUND, LogVerdict.COMPLETENESS_UNVERIFIED)
    assert min(dated.p_value or 0.0, undated.p_value or 0.0) > UNSOUND_P_VALUE
    raised = verdict_on(world, examples, SliceTallies({"EXPLORE": 2_400, "POLICY": 1_600}, undated_until=START * 2))
    assert raised.verdict is LogVerdict.UNSOUND


def test_no_rows_are_no_verdict(world: World) -> None:
    rows = world.rows(world.examples(3)).take(np.zeros(3, dtype=np.bool_))
    log = ExploredLog(rows, (), rows.frame, (), StoredCounts())
    found = judge_log(log, world.experiment, KeptTallies())
    assert (found.p_value, found.verdict) == (None, LogVerdict.COMPLETENESS_UNVERIFIED)
