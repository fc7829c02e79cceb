"""Engagements happen as often as the exact values say, and faults change only what is logged of them."""

from dataclasses import replace

import numpy as np
import pytest

from event_schemas.experiment import load_experiment
from event_schemas.units import DAY_MS, MINUTE_MS
from simulator.traffic import TrafficPlan
from simulator.worlds.engagements import MEAN_DELAY_MS, Engaged, attributions, inside_share
from simulator.worlds.exact_values import unit_values
from simulator.worlds.faults import Faults
from simulator.worlds.world_run import WorldRun
from tests.simulator_samples import HOMEFEED
from tests.world_samples import START, WINDOWS, production_of, short_run


def lived(faults: Faults, requests: int = 12_000, days: int = 2) -> tuple[WorldRun, TrafficPlan, Engaged]:
    run, plan = short_run(requests=requests, days=days, users=1_000, faults=faults)
    return run, plan, run.react(plan, run.rank(plan, production_of(len(plan))))


def test_rewards_are_as_frequent_as_their_exact_values() -> None:
    run, plan, engaged = lived(Faults())
    truth = run.exact_values(plan, production_of(len(plan)), WINDOWS).mean(axis=0)
    inside = engaged.done.time - plan.time[engaged.row] <= WINDOWS[0]
    for kind in range(3):
        rewarded = len(np.unique(engaged.row[inside & (engaged.done.kind == kind)])) / len(plan)
        assert abs(rewarded - truth[kind]) < 4 * np.sqrt(truth[kind] / len(plan)), kind


@pytest.mark.parametrize("unit", ["session", "user"])
def test_sessions_and_user_days_with_a_hide_are_as_frequent_as_their_exact_values(unit: str) -> None:
    run, plan, engaged = lived(Faults(), days=1)
    of = np.unique(getattr(plan, unit), return_inverse=True)[1].reshape(-1)
    values = unit_values(run.exact_values(plan, production_of(len(plan)), WINDOWS)[:, 2:], of)[:, 0]
    hidden = (engaged.done.kind == 2) & (engaged.done.time - plan.time[engaged.row] <= WINDOWS[2])
    found = len(np.unique(of[engaged.row[hidden]]))
    assert abs(found - values.sum()) < 4 * np.sqrt(values.sum()) and values.sum() > 50


def test_the_gate_of_a_world_lowers_its_rewards_for_the_other_arms() -> None:
    run, plan = short_run("boundary", requests=20_000, users=1_000)
    other = np.tile([10.0, 1.0], (len(plan), 1))
    engaged = run.react(plan, run.rank(plan, other))
    truth = run.exact_values(plan, other, WINDOWS).mean(axis=0)
    saved = len(np.unique(engaged.row[engaged.done.kind == 0])) / len(plan)
    assert abs(saved * inside_share(WINDOWS)[0] - truth[0]) < 4 * np.sqrt(truth[0] / len(plan))


def test_delays_have_their_mean_and_their_share_inside_the_window() -> None:
    _, plan, engaged = lived(Faults())
    delay = engaged.done.time - plan.time[engaged.row]
    error = MEAN_DELAY_MS / np.sqrt(len(delay))
    assert abs(delay.mean() - MEAN_DELAY_MS) < 4 * error
    assert abs((delay <= 30 * MINUTE_MS).mean() - inside_share([30 * MINUTE_MS])[0]) < 0.01
    _, plan, slow = lived(Faults(delay=3.0))
    assert abs((slow.done.time - plan.time[slow.row]).mean() - 3 * MEAN_DELAY_MS) < 12 * error


def test_missing_and_duplicate_engagements_come_in_their_shares_and_change_nothing_else() -> None:
    _, _, sound = lived(Faults())
    _, _, faulty = lived(Faults(missing=0.3, duplicates=0.1))
    assert np.array_equal(sound.row, faulty.row) and np.array_equal(sound.done.time, faulty.done.time)
    assert abs((faulty.copies == 0).mean() - 0.3) < 0.03 and abs((sound.copies == 2).mean() - 0.01) < 0.01
    assert abs((faulty.copies == 2).mean() - 0.07) < 0.02 and (sound.copies > 0).all()


def test_a_dead_feed_is_silent_for_its_kind_in_its_time() -> None:
    _, _, engaged = lived(Faults(dead_from=0.5, dead_until=1.0, dead_kind="p2p"))
    day = (engaged.done.time - START) / DAY_MS
    dead = (day >= 0.5) & (day < 1.0)
    p2p = engaged.done.kind == 1
    assert (engaged.copies[dead & p2p] == 0).all() and (dead & p2p).sum() > 20
    assert (engaged.copies[~(dead & p2p)] > 0).all()
    _, _, silent = lived(Faults(dead_until=9.0))
    assert not silent.copies.any()


def test_a_request_draws_the_same_alone_and_among_others() -> None:
    run, plan, engaged = lived(Faults(), requests=500, days=1)
    one = plan.part(300, 301)
    alone = run.react(one, run.rank(one, production_of(1)))
    rows = engaged.row == 300
    assert np.array_equal(alone.done.time, engaged.done.time[rows]) and np.array_equal(
        alone.done.item, engaged.done.item[rows]
    )


def test_windows_of_kinds_are_those_of_what_counts_them() -> None:
    experiment = load_experiment(HOMEFEED)
    quick = experiment.objectives[1].model_copy(update={"attribution": 60_000})
    changed = experiment.model_copy(update={"objectives": (experiment.objectives[0], quick)})
    assert attributions(changed) == [30 * MINUTE_MS, 60_000, 30 * MINUTE_MS]
    assert replace(Faults(), delay=2.0).delay == 2.0
