"""Simulated logs have the rows that their world says, and what producers counted of them."""

import numpy as np
import pytest

from benchmarks import soundness_logs
from benchmarks.soundness_logs import DAYS, SoundnessWorld, judged, soundness_experiment
from learner.judgement.log_soundness import LogSoundness


@pytest.mark.parametrize(
    ("world", "rows"),
    [
        (SoundnessWorld("a", 4_000), 4_000),
        (SoundnessWorld("b", 4_000, loss=0.1), 3_600),
        (SoundnessWorld("c", 4_000, by_session=True, moving=True), 4_000),
        (SoundnessWorld("d", 4_000, fault="doubled"), 4_800),
        (SoundnessWorld("e", 4_000, fault="arms_missing"), 3_600),
    ],
)
def test_a_log_has_the_rows_of_its_world(world: SoundnessWorld, rows: int) -> None:
    found = verdict(world)
    assert found.rows == pytest.approx(rows, rel=0.08)


def test_moving_rates_are_told_as_drawn() -> None:
    experiment, world = soundness_experiment("request"), SoundnessWorld("m", 4_000, moving=True)
    decisions = soundness_logs._drawn(world, experiment, np.random.default_rng(1))
    tallies = soundness_logs._tallied(decisions)
    rates = [total.rate_sum / total.decisions for _, total in sorted(tallies.spans.items())]
    assert rates == pytest.approx([0.25, 0.25, 0.25, 0.5, 0.25, 0.1, 0.1])
    assert tallies.decisions == sum(total.decisions for total in tallies.spans.values()) and len(tallies.rated) == DAYS


def test_rows_are_drawn_from_their_lists_of_eligible_arms() -> None:
    experiment, world = soundness_experiment("request"), SoundnessWorld("l", 4_000, lists=30)
    decisions = soundness_logs._drawn(world, experiment, np.random.default_rng(1))
    assert all(0 in each and len(each) in (25, 26) for each in decisions.eligible)
    assert all(arm in decisions.eligible[number] for arm, number in zip(decisions.arm, decisions.listed, strict=True))
    assert 0 < np.count_nonzero(decisions.arm == soundness_logs.RARE) < 0.01 * len(decisions.arm)
    stored = soundness_logs._stored(world, decisions, np.random.default_rng(1))
    lengths = stored["action_eligible"].list.len().to_numpy()
    assert (stored["propensity_propensity"].to_numpy() == 1.0 / lengths).all()


def verdict(world: SoundnessWorld) -> LogSoundness:
    experiment = soundness_experiment("session" if world.by_session else "request")
    return judged(world, experiment, np.random.default_rng(1))
