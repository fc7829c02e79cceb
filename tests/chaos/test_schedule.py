"""Schedules: the shipped ones are sound, and a wrong one is told what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import pytest

from tests.chaos.fault_injection import DEEDS
from tests.chaos.schedule import UNDOING, Fault, ScheduleError, load_schedules, parse_schedule

KILL = {"at": 1.0, "do": "kill", "whom": "worker-1"}


def test_the_shipped_schedules_use_every_fault_and_every_deed_can_be_done() -> None:
    schedules = load_schedules()
    used = {step.do for schedule in schedules.values() for step in schedule.steps}
    assert used == set(get_args(Fault))
    assert set(DEEDS) == set(get_args(Fault)) | set(UNDOING.values())


def test_steps_become_actions_in_the_order_of_time() -> None:
    steps = [{**KILL, "at": 2.0, "lasting": 3.0}, {"at": 3.0, "do": "slow", "latency": 0.1, "lasting": 1.0}]
    timeline = parse_schedule("s", {"title": "t", "steps": steps}).timeline()
    assert [(a.at, a.deed, a.lifts) for a in timeline] == [
        (2.0, "kill", False),
        (3.0, "slow", False),
        (4.0, "speed_up", True),
        (5.0, "start", True),
    ]


def test_traffic_counts_its_decisions() -> None:
    schedule = parse_schedule("s", {"title": "t", "traffic": {"rate": 2.5, "seconds": 4.0}, "steps": [KILL]})
    assert schedule.traffic.decisions == 10


@pytest.mark.parametrize(
    ("step", "says"),
    [
        ({**KILL, "whom": "worker-9"}, "there is no 'worker-9' at 1 s"),
        ({**KILL, "whom": "learner"}, "there is no 'learner'"),
        ({**KILL, "whom": ""}, "needs `whom`"),
        ({**KILL, "do": "explode"}, "steps.0.do"),
        ({**KILL, "force": 9}, "steps.0.force"),
        ({**KILL, "at": -1.0}, "steps.0.at"),
        ({"at": 1.0, "do": "freeze", "whom": "broker"}, "needs `lasting`"),
        ({"at": 1.0, "do": "slow", "lasting": 1.0}, "needs `latency` or `bytes_per_second`"),
        ({"at": 1.0, "do": "slow", "latency": 1.0, "lasting": 1.0, "whom": "broker"}, "hits no single process"),
        ({"at": 1.0, "do": "start", "whom": "producer-7"}, "only workers can be added"),
        ({"at": 1.0, "do": "die_at_step", "whom": "worker-1", "step": 1}, "is for the learner"),
        ({"at": 1.0, "do": "die_at_step", "whom": "learner"}, "belongs to 'die_at_step'"),
        ({**KILL, "step": 2}, "belongs to 'die_at_step'"),
    ],
)
def test_a_wrong_step_is_named(step: dict[str, Any], says: str) -> None:
    with pytest.raises(ScheduleError) as raised:
        parse_schedule("odd", {"title": "t", "steps": [step]})
    assert "schedule 'odd'" in raised.value.what
    assert says in raised.value.what


def test_a_full_disk_needs_a_small_disk() -> None:
    step = {"at": 1.0, "do": "fill_disk", "whom": "learner", "lasting": 1.0}
    with pytest.raises(ScheduleError, match="disk_megabytes"):
        parse_schedule("odd", {"title": "t", "learner": True, "steps": [step]})


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScheduleError, match="cannot be read"):
        load_schedules(tmp_path / "absent.toml")
