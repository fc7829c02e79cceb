"""The load of the evaluation's benchmark: the wanted number of arms, and a log that is sound."""

from __future__ import annotations

import pytest

from benchmarks import evaluation_memory
from benchmarks.evaluation_load import PARTS, experiment_of, measured


@pytest.mark.parametrize("arms", [9, 50, 1001])
def test_the_experiment_has_so_many_arms(arms: int) -> None:
    assert experiment_of(arms).action_space.arms == arms


@pytest.mark.parametrize("part", PARTS)
def test_every_part_is_measured(part: str) -> None:
    found = measured(part, 300, 9)
    assert found["seconds"] > 0
    assert found["peak_mb"] >= 0
    assert all(0 < value < 1 for value in found["values"].values())


def test_the_benchmark_asks_for_every_part() -> None:
    assert tuple(PARTS) == evaluation_memory.PARTS
