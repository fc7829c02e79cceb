"""Cohorts follow the 28-day rule, and histories hold the last engagements, oldest first."""

import numpy as np

from event_schemas.units import DAY_MS
from simulator.worlds.members import WARM_UP_DAYS
from simulator.worlds.user_log import COHORTS, HISTORY_LENGTH, NO_ENGAGEMENTS, PastEngagements, UserLog
from tests.world_samples import START


def day(number: int) -> int:
    return START + number * DAY_MS + 1_000


def done(user: int, times: list[int], kind: int = 0, item: int = 5) -> PastEngagements:
    rows = len(times)
    return PastEngagements(np.full(rows, user), np.array(times), np.full(rows, kind), np.full(rows, item))


def visited(log: UserLog, user: int, days: list[int]) -> None:
    log.visit(np.full(len(days), user), np.array([day(each) for each in days]))


def test_four_days_with_saves_make_core_and_four_active_days_casual() -> None:
    log = UserLog(4, START, days=40)
    for user, saves, visits in ((0, 4, 4), (1, 3, 4), (2, 0, 3), (3, 3, 28)):
        visited(log, user, list(range(-visits, 0)))
        log.engage(done(user, [day(each) for each in range(-saves, 0)]))
    assert [COHORTS[each] for each in log.cohorts(day(0))] == ["CORE", "CASUAL", "REST", "CASUAL"]


def test_several_saves_of_a_day_count_once_and_p2p_not_at_all() -> None:
    log = UserLog(2, START, days=2)
    visited(log, 0, [-4, -3, -2, -1])
    log.engage(done(0, [day(-1), day(-1) + 1, day(-1) + 2, day(-1) + 3]))
    visited(log, 1, [-4, -3, -2, -1])
    log.engage(done(1, [day(each) for each in (-4, -3, -2, -1)], kind=1))
    assert [COHORTS[each] for each in log.cohorts(day(0))] == ["CASUAL", "CASUAL"]


def test_today_does_not_count_and_what_is_older_than_28_days_is_forgotten() -> None:
    log = UserLog(1, START, days=60)
    visited(log, 0, [0, 1, 2, 3])
    log.engage(done(0, [day(each) for each in (0, 1, 2, 3)]))
    assert COHORTS[log.cohorts(day(3))[0]] == "REST"
    assert COHORTS[log.cohorts(day(4))[0]] == "CORE"
    assert COHORTS[log.cohorts(day(WARM_UP_DAYS))[0]] == "CORE"
    assert COHORTS[log.cohorts(day(WARM_UP_DAYS + 1))[0]] == "REST"


def test_a_history_keeps_the_last_engagements_oldest_first() -> None:
    log = UserLog(3, START, days=2)
    log.engage(done(0, [day(0) + each for each in (3, 1, 2)], item=1).with_more(done(2, [day(0)], kind=1, item=9)))
    log.engage(done(0, [day(0) + each for each in (10, 11, 12, 13)], item=7))
    history, lengths = log.history(np.array([0, 1, 2]))
    assert lengths.tolist() == [HISTORY_LENGTH, 0, 1]
    assert (history.time[0] - day(0)).tolist() == [3, 10, 11, 12, 13] and history.item[0].tolist() == [1, 7, 7, 7, 7]
    assert (history.item[2, -1], history.kind[2, -1], history.user[2, -1]) == (9, 1, 2)


def test_nothing_is_nothing() -> None:
    log = UserLog(1, START, days=1)
    log.engage(NO_ENGAGEMENTS)
    assert len(NO_ENGAGEMENTS) == 0 and log.history(np.array([0]))[1].tolist() == [0]


def test_what_happens_after_the_last_day_counts_for_it() -> None:
    log = UserLog(1, START, days=1)
    visited(log, 0, [-3, -2, -1, 5])
    assert COHORTS[log.cohorts(day(0))[0]] == "REST"
