"""The days before a run follow the users' own rates, and their cohorts are what their saving days say."""

import numpy as np

from simulator.worlds.members import WARM_UP_DAYS, shopping_intents
from simulator.worlds.named_worlds import world
from simulator.worlds.user_log import HISTORY_LENGTH, UserLog
from simulator.worlds.warm_up import warm_up
from tests.world_samples import START

WORLD = world("homefeed").populated(1_500)
SHOPS = shopping_intents(WORLD.shape, WORLD.seed, WORLD.people.size, 1)


def warmed(requests_per_day: float = 2.0) -> UserLog:
    log = UserLog(WORLD.people.size, START, days=1)
    warm_up(WORLD, SHOPS, log, START, requests_per_day)
    return log


def test_every_cohort_has_members_and_core_holds_the_collectors() -> None:
    cohort = warmed().cohorts(START)
    assert np.bincount(cohort, minlength=3).min() > 100
    collects = WORLD.people.log_rates[:, 0] > 0
    assert collects[cohort == 0].mean() > 0.8 > 0.5 > collects[cohort == 1].mean()


def test_who_visits_more_often_is_more_active() -> None:
    rare, often = warmed(0.2).cohorts(START), warmed(4.0).cohorts(START)
    assert (rare == 2).mean() > 0.5 and (often == 2).mean() < 0.2


def test_histories_come_from_the_28_days_and_from_slates_of_the_user_s_topic() -> None:
    history, lengths = warmed().history(np.arange(WORLD.people.size))
    real = np.arange(HISTORY_LENGTH) >= HISTORY_LENGTH - lengths[:, None]
    days = (START - history.time[real]) / 86_400_000
    assert days.min() >= 0 and days.max() <= WARM_UP_DAYS and set(history.kind[real]) == {0, 1}
    topic = history.item[real] // (WORLD.shape.candidates * WORLD.shape.sets_per_topic)
    assert np.array_equal(topic, WORLD.people.topic[history.user[real]])


def test_p2p_in_a_history_tell_of_shopping() -> None:
    history, lengths = warmed().history(np.arange(WORLD.people.size))
    known = np.flatnonzero(lengths > 0)
    shopped = SHOPS[known, WARM_UP_DAYS - 1]
    bought = history.kind[known, -1] == 1
    # Who leans to shopping when they intend to: the sign of trait 1 decides it.
    willing = WORLD.people.traits[known, 1] > 0
    assert bought[willing & shopped].mean() > bought[willing & ~shopped].mean() + 0.1
