"""A run shows of its users what was known at the full hour, and drifts when it is told to."""

import numpy as np

from event_schemas.units import DAY_MS, HOUR_MS
from simulator.traffic import TrafficPlan
from simulator.worlds.faults import Faults
from simulator.worlds.user_log import HISTORY_LENGTH, PastEngagements
from simulator.worlds.world_run import WorldRun
from tests.world_samples import START, WINDOWS, production_of, short_run


def hours(plan: TrafficPlan) -> list[TrafficPlan]:
    """The plan, hour by hour."""
    hour = plan.time // HOUR_MS
    return [plan.take(np.flatnonzero(hour == each)) for each in np.unique(hour)]


def through(run: WorldRun, parts: list[TrafficPlan]) -> list[tuple[TrafficPlan, PastEngagements, PastEngagements]]:
    """Each part with the histories that it saw and what its users did then."""
    seen = []
    for part in parts:
        features = run.features(part)
        engaged = run.react(part, run.rank(part, production_of(len(part))))
        seen.append((part, features.history, engaged.done))
    return seen


def test_histories_are_the_user_s_own_engagements_before_the_hour() -> None:
    run, plan = short_run(requests=4_000, users=60)
    lived = through(run, hours(plan))
    happened = [
        (int(u), int(t), int(i))
        for _, _, done in lived
        for u, t, i, k in zip(done.user, done.time, done.item, done.kind, strict=True)
        if k < 2
    ]
    later = 0
    for part, history, _ in lived[1:]:
        hour = int(part.time[0]) // HOUR_MS * HOUR_MS
        for row in range(0, len(part), 7):
            user = int(part.user[row])
            own = sorted((t, i) for u, t, i in happened if u == user and t < hour)[-HISTORY_LENGTH:]
            seen = list(zip(history.time[row].tolist(), history.item[row].tolist(), strict=True))
            assert [time for time, _ in seen[HISTORY_LENGTH - len(own) :]] == [time for time, _ in own]
            later += len(own)
    assert later > 200


def test_parts_of_an_hour_do_not_matter() -> None:
    (whole, plan), (split, _) = short_run(requests=1_500, users=60), short_run(requests=1_500, users=60)
    halves = [
        half for part in hours(plan) for half in (part.part(0, len(part) // 2), part.part(len(part) // 2, len(part)))
    ]
    one, two = through(whole, hours(plan)), through(split, [half for half in halves if len(half)])
    for column in ("time", "item", "kind", "user"):
        seen = [np.concatenate([getattr(history, column) for _, history, _ in run]) for run in (one, two)]
        assert np.array_equal(seen[0], seen[1]), column


def test_cohorts_change_with_the_days() -> None:
    run, plan = short_run(requests=6_000, days=8, users=300)
    cohorts = []
    for part in hours(plan):
        cohorts.append(run.features(part).cohort)
        run.react(part, run.rank(part, production_of(len(part))))
    first, last = (
        dict(zip(part.user.tolist(), seen.tolist(), strict=True))
        for part, seen in (
            (plan.part(0, 600), np.concatenate(cohorts)[:600]),
            (plan.part(5_400, 6_000), np.concatenate(cohorts)[5_400:]),
        )
    )
    both = first.keys() & last.keys()
    changed = sum(first[user] != last[user] for user in both)
    assert 0 < changed < len(both) / 2


def test_slates_are_the_ranker_s_best_of_the_set_retrieved() -> None:
    run, plan = short_run()
    served, sets = run.rank(plan, production_of(len(plan))), run.retrieved(plan)
    assert np.array_equal(served.places.sets[:, 0], sets)
    slates = run.world.catalogue.slates(run.world.ranking_weights(production_of(1)), run.world.shape.served)
    assert np.array_equal(served.places.items, slates[run.world.people.style[plan.user], sets, 0])
    assert run.summaries(plan).shape == (len(plan), 5, 4)


def test_a_drift_begins_at_its_day_and_moves_the_truth() -> None:
    run, plan = short_run(requests=2_000, days=2, faults=Faults(drift_from=1.0, drift_taste=2.0))
    calm, _ = short_run(requests=2_000, days=2)
    weights = production_of(len(plan))
    moved, still = (each.exact_values(plan, weights, WINDOWS) for each in (run, calm))
    later = plan.time >= START + DAY_MS
    assert np.array_equal(moved[~later], still[~later])
    assert moved[later, 0].mean() < 0.9 * still[later, 0].mean() and moved[later, 1].mean() > still[later, 1].mean()
    assert run.world_at(START) is run.world and run.world_at(START + DAY_MS) is run.later_world


def test_states_do_not_depend_on_what_was_served() -> None:
    run, plan = short_run()
    before = run.states(plan).lean
    run.react(plan, run.rank(plan, np.tile([200.0, 1.0], (len(plan), 1))))
    assert np.array_equal(run.states(plan).lean, before)
