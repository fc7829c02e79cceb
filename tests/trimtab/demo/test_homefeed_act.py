"""Act 2's calendar: simulated days that end before now, each after the heartbeats of the one before."""

import itertools
from datetime import UTC, datetime, timedelta

from event_schemas.experiment import load_experiment
from trimtab.demo.homefeed_act import PILOT_DAYS, SERVED_DAYS, Calendar
from trimtab.demo.workspace import HOMEFEED

NOW = datetime(2024, 5, 3, 0, 0, 1, tzinfo=UTC)


def test_days_end_at_midnight_and_never_in_the_future() -> None:
    calendar = Calendar.before(NOW)
    ends = [datetime.fromisoformat(text) for text in (calendar.pilot(), calendar.served(0), calendar.served(1))]
    assert [end.isoformat() for end in ends] == [f"2024-05-0{day}T00:00:00+00:00" for day in (1, 2, 3)]
    assert ends[-1] <= NOW


def test_each_phase_begins_after_the_log_was_closed_behind_the_one_before() -> None:
    experiment = load_experiment(HOMEFEED)
    calendar = Calendar.before(NOW)
    ends = [datetime.fromisoformat(text) for text in (calendar.pilot(), calendar.served(0), calendar.served(1))]
    assert datetime.fromisoformat(calendar.warm_up()) < ends[0] - timedelta(days=PILOT_DAYS)
    # The last engagement comes within hours of the last request, heartbeats a window after that.
    closing = timedelta(milliseconds=experiment.window_ms) + timedelta(hours=3)
    for earlier, later in itertools.pairwise(ends):
        assert earlier + closing < later - timedelta(days=SERVED_DAYS)
