"""Decisions of two checkouts, measured in turns and compared case by case."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.checkout_process import ROOT, BaseUnusable
from benchmarks.decide_versions import IN_BOTH, ONLY_HERE, compared, measure


def test_figures_are_medians_and_ratios_those_of_each_round() -> None:
    def figures(decided: float) -> dict[str, float]:
        return {"decide_us": decided, "applied_us": 2 * decided}

    pairs = [[figures(here), figures(base)] for here, base in ((11.0, 10.0), (60.0, 20.0), (30.0, 30.0))]
    only_here = {"decide_us": 30.0, "applied_us": 60.0}
    assert compared([sides[:1] for sides in pairs]) == only_here
    assert compared(pairs) == {**only_here, "base_decide_us": 20.0, "ratio_to_base": 1.1}


def test_a_folder_without_the_agent_is_no_base(tmp_path: Path) -> None:
    with pytest.raises(BaseUnusable, match="serving_agent"):
        measure(tmp_path, 1, 1)


def test_every_case_decides_in_its_slice() -> None:
    """The process asserts the slice of each decision; this checkout stands in for the base."""
    found = measure(ROOT, decisions=5, rounds=1)
    assert found["cases"].keys() == {case["name"] for case in [*IN_BOTH, *ONLY_HERE]}
    assert all("ratio_to_base" in found["cases"][case["name"]] for case in IN_BOTH)
