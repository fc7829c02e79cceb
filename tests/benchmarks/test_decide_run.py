"""The script that decides: cases become experiments and networks."""

from __future__ import annotations

import pytest

from benchmarks.decide_run import Case, experiment_of
from benchmarks.decide_versions import IN_BOTH, ONLY_HERE


@pytest.mark.parametrize("case", [*IN_BOTH, *ONLY_HERE], ids=lambda case: str(case["name"]))
def test_a_case_is_measured(case: dict[str, object]) -> None:
    figures = Case(case).run(3)
    assert 0 < figures["decide_us"] <= figures["applied_us"]


def test_a_box_has_the_weights_of_the_grid() -> None:
    box = experiment_of(next(case for case in ONLY_HERE if case["name"] == "explore_box"))
    grid = experiment_of(IN_BOTH[0])
    assert (box.action_space.kind, grid.action_space.kind) == ("box", "grid")
    assert box.action_space.weight_names == grid.action_space.weight_names
