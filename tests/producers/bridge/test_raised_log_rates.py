"""Which log rate held is known until a window after its last announcement, and only for the same coin."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from event_schemas.units import MINUTE_MS
from producers.bridge.raised_log_rates import RaisedLogRates
from tests.serving_samples import serving_experiment

EXPERIMENT = serving_experiment()
OWN = replace(EXPERIMENT.exploration, log_rate=0.01)
NOW, WINDOW = 1_764_000_000_000, 10 * MINUTE_MS


def test_without_announcements_the_file_s_rate_holds() -> None:
    assert RaisedLogRates(OWN, WINDOW).highest(NOW) == RaisedLogRates(OWN, WINDOW).highest(None) == 0.01


def test_a_rate_holds_until_a_window_after_it_was_last_announced() -> None:
    raised = RaisedLogRates(OWN, WINDOW)
    for announced in (NOW, NOW + MINUTE_MS, NOW - MINUTE_MS):
        raised.note(OWN.with_log_rate(0.2), announced)
    raised.note(OWN.with_log_rate(0.1), NOW + WINDOW)
    last = NOW + MINUTE_MS + WINDOW
    assert [raised.highest(time) for time in (0, NOW, last, last + 1)] == [0.2, 0.2, 0.2, 0.1]
    assert [raised.highest(NOW + 2 * WINDOW + more) for more in (0, 1)] == [0.1, 0.01]
    assert raised.highest(None) == 0.2, "a record without a time may be of any"


@pytest.mark.parametrize(
    "other", [{"salt": "other"}, {"action_space": "0" * 64}, {"unit": "session"}, {"log_unit": "user"}]
)
def test_settings_with_another_coin_mean_nothing(other: dict[str, Any]) -> None:
    raised = RaisedLogRates(OWN, WINDOW)
    raised.note(replace(OWN, log_rate=0.5, **other), NOW)
    raised.note(replace(OWN, log_rate=0.001), NOW)
    assert raised.highest(NOW) == 0.01


def test_settings_of_another_file_with_the_same_coin_count() -> None:
    raised = RaisedLogRates(OWN, WINDOW)
    raised.note(replace(OWN, log_rate=0.5, control_rate=0.3), NOW)
    assert raised.highest(NOW) == 0.5


def test_the_window_of_an_experiment_has_room_for_clocks_and_repetition() -> None:
    raised = RaisedLogRates.of(EXPERIMENT)
    raised.note(EXPERIMENT.exploration.with_log_rate(1.0), NOW)
    own, last = EXPERIMENT.exploration.log_rate, NOW + EXPERIMENT.window_ms + 3 * MINUTE_MS
    assert own < 1.0
    assert [raised.highest(last), raised.highest(last + 1)] == [1.0, own]
