"""The soak's faults: drawn by seed, one at a time, never on the witness."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from tests.chaos.memory_slope import MemorySlope
from tests.chaos.soak import MENU, MOST_GROWTH, WITNESS, SoakResult, soak_schedule
from tests.chaos.verdict_samples import GOOD, history

SLOPE = MemorySlope(f"{WITNESS}#1", 1_800.0, 50.0, 40.0, 60.0, 200.0, 225.0, 230.0)


def test_the_seed_decides_and_no_fault_begins_before_the_last_is_over() -> None:
    schedule = soak_schedule(30.0, 7)
    assert schedule == soak_schedule(30.0, 7)
    assert schedule.steps != soak_schedule(30.0, 8).steps
    assert len(schedule.steps) > 40
    assert schedule.steps[-1].at < 1_800
    for before, after in pairwise(schedule.steps):
        assert after.at > before.at + (before.lasting or 0.0)


def test_the_witness_is_never_hit_and_every_fault_of_the_menu_occurs() -> None:
    steps = soak_schedule(120.0, 3).steps
    assert WITNESS not in {step.whom for step in steps}
    assert {(step.do, step.whom) for step in steps} == {(fault["do"], fault.get("whom", "")) for _, fault in MENU}


def test_growth_counts_when_it_is_certain_large_and_long_enough() -> None:
    def grows(slope: MemorySlope) -> bool:
        return SoakResult(GOOD, history(), (slope,)).grows

    assert grows(SLOPE)
    assert not grows(replace(SLOPE, lower=MOST_GROWTH - 1.0))
    assert not grows(replace(SLOPE, seconds=300.0))
    assert not grows(replace(SLOPE, life="worker-2#1")), "only the witness lives long enough to tell"
