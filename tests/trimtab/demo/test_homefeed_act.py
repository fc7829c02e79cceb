"""Act 2's calendar: simulated days whose log is closed by now, each after the heartbeats of the one before."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from event_schemas.experiment import load_experiment
from trimtab.demo.homefeed_act import PILOT_DAYS, SERVED_DAYS, Calendar
from trimtab.demo.workspace import HOMEFEED

NOON = datetime(2024, 5, 3, 13, 0, 1, tzinfo=UTC)
EXPERIMENT = load_experiment(HOMEFEED)
# The last engagement comes within hours of the last request, heartbeats a window after that.
CLOSING = timedelta(milliseconds=EXPERIMENT.window_ms) + timedelta(hours=3)


def ends_of(calendar: Calendar) -> list[datetime]:
    return [datetime.fromisoformat(text) for text in (calendar.pilot(), calendar.served(0), calendar.served(1))]


def test_days_end_at_midnight() -> None:
    ends = ends_of(Calendar.before(NOON, EXPERIMENT))
    assert [end.isoformat() for end in ends] == [f"2024-05-0{day}T00:00:00+00:00" for day in (1, 2, 3)]


@pytest.mark.parametrize("hour", range(24))
def test_the_heartbeats_that_close_the_log_never_lie_in_the_future(hour: int) -> None:
    now = NOON.replace(hour=hour)
    assert now - timedelta(days=2) < ends_of(Calendar.before(now, EXPERIMENT))[-1] + CLOSING < now


def test_each_phase_begins_after_the_log_was_closed_behind_the_one_before() -> None:
    calendar = Calendar.before(NOON, EXPERIMENT)
    ends = ends_of(calendar)
    assert datetime.fromisoformat(calendar.warm_up()) < ends[0] - timedelta(days=PILOT_DAYS)
    for earlier, later in itertools.pairwise(ends):
        assert earlier + CLOSING < later - timedelta(days=SERVED_DAYS)
