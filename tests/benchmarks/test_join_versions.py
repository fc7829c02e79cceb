"""The comparison of versions: each run joins the same events, and the ratios are those to the base."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.checkout_process import ROOT, BaseUnusable
from benchmarks.join_versions import RunsDiffer, compared, measure, variants

pytestmark = pytest.mark.join_benchmarks


def run(cpu_s: float, examples: int = 9) -> dict[str, Any]:
    return {"cpu_s": cpu_s, "validation_cpu_s": cpu_s / 2, "examples": examples, "dead_letters": 1}


def test_ratios_are_medians_over_the_rounds() -> None:
    found = compared({"base_v1": [run(1.0), run(2.0), run(4.0)], "v2": [run(1.1), run(2.0), run(6.0)]})
    assert (found["examples"], found["dead_letters"]) == (9, 1)
    assert found["variants"]["base_v1"] == {"cpu_s": 2.0, "validation_cpu_s": 1.0, "ratio_to_base": 1.0}
    assert found["variants"]["v2"]["ratio_to_base"] == 1.1


def test_runs_with_other_results_are_not_compared() -> None:
    with pytest.raises(RunsDiffer, match=r"\(8, 1\), \(9, 1\)"):
        compared({"base_v1": [run(1.0)], "v2": [run(1.0, examples=8)]})


def test_a_base_that_is_no_checkout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BaseUnusable, match="has no folders event_schemas and stream_processors"):
        variants(tmp_path)


def test_a_base_whose_join_does_not_run_is_named(tmp_path: Path) -> None:
    for package in ("event_schemas", "stream_processors"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").touch()
    with pytest.raises(BaseUnusable, match=r"the join of .* ended"):
        measure(variants(tmp_path)[:1], requests=1, rounds=1)


def test_both_versions_give_the_same_examples() -> None:
    base, *_, filled, box = variants(ROOT)
    found = measure([base, filled, box], requests=100, rounds=1)
    assert (found["examples"], found["requests"], found["rounds"]) == (100, 100, 1)
    assert set(found["variants"]) == {"base_v1", "v2_filled", "v2_box"}
