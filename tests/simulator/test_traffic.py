"""Requests come in time order, in sessions, within their days."""

import numpy as np
import pytest

from event_schemas.units import DAY_MS
from simulator.traffic import plan_traffic
from simulator.user_population import draw_population

START = 1_700_000_000_000
PEOPLE = draw_population(1, 300)


def test_requests_are_in_order_inside_the_days_and_grow() -> None:
    plan = plan_traffic(1, PEOPLE, 5000, start_ms=START, end_ms=START + 3 * DAY_MS)
    assert len(plan) == 5000
    assert (np.diff(plan.time) >= 0).all()
    assert plan.time[0] >= START and plan.time[-1] < START + 3 * DAY_MS
    days = np.bincount((plan.time - START) // DAY_MS)
    assert len(days) == 3 and list(days) == sorted(days) and days.min() > 900


def test_a_session_is_one_user_on_one_device_within_minutes() -> None:
    plan = plan_traffic(1, PEOPLE, 2000, start_ms=START, end_ms=START + DAY_MS)
    for session in range(0, plan.session.max(), 40):
        rows = plan.session == session
        assert len(set(plan.user[rows])) == 1 and len(set(plan.device[rows])) == 1
        assert np.ptp(plan.time[rows]) < 2 * 3_600_000
    assert 2.0 < 2000 / len(set(plan.session)) < 3.0


def test_a_seed_fixes_the_plan_and_other_seeds_share_no_number() -> None:
    first = plan_traffic(1, PEOPLE, 100, start_ms=START, end_ms=START + DAY_MS)
    again = plan_traffic(1, PEOPLE, 100, start_ms=START, end_ms=START + DAY_MS)
    moved = plan_traffic(1, PEOPLE, 100, start_ms=START + DAY_MS, end_ms=START + 2 * DAY_MS)
    other = plan_traffic(2, PEOPLE, 100, start_ms=START, end_ms=START + DAY_MS)
    assert np.array_equal(first.time, again.time) and np.array_equal(first.user, again.user)
    assert np.array_equal(first.time + DAY_MS, moved.time) and np.array_equal(first.user, moved.user)
    assert not set(first.number) & set(other.number)


@pytest.mark.parametrize(("requests", "days"), [(0, 1), (10, 0), (10, -1)])
def test_an_impossible_plan_is_refused(requests: int, days: int) -> None:
    with pytest.raises(ValueError, match="cannot be planned"):
        plan_traffic(1, PEOPLE, requests, start_ms=START, end_ms=START + days * DAY_MS)
