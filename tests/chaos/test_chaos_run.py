"""Schedules on a real broker: a little of everything is survived, and a fault that did not happen is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.chaos_run import run_schedule
from tests.chaos.fault_table import complaints
from tests.chaos.fragile_broker import FragileBroker
from tests.chaos.schedule import Schedule, load_schedules, parse_schedule
from tests.chaos.stage import Place

pytestmark = pytest.mark.chaos_runs
SHORT = {"rate": 90.0, "seconds": 4.0}


@pytest.mark.timeout(400)
def test_a_little_of_everything_costs_nothing(fragile_broker: FragileBroker, tmp_path: Path) -> None:
    verdict, history = run_schedule(load_schedules()["quick"], Place(fragile_broker, tmp_path, 1))
    assert verdict.exact, complaints([verdict])
    assert verdict.valid, complaints([verdict])
    assert verdict.examples > 0
    assert verdict.fates["malformed"] > 0
    assert verdict.recovery_seconds is not None
    assert history.samples[-1].join.lag == 0


@pytest.mark.timeout(400)
def test_a_fault_that_leaves_no_trace_makes_the_run_invalid(fragile_broker: FragileBroker, tmp_path: Path) -> None:
    verdict, _ = run_schedule(_harmless(), Place(fragile_broker, tmp_path, 3))
    assert verdict.exact
    assert not verdict.valid
    assert complaints([verdict]) == ["harmless: not proved: producers wrote events twice: 0 propensities"]


def _harmless() -> Schedule:
    steps = [{"at": 1.0, "do": "freeze", "whom": "worker-1", "lasting": 0.5}]
    table = {"title": "a short nap", "workers": 1, "resends": True, "traffic": SHORT, "steps": steps}
    return parse_schedule("harmless", table)
