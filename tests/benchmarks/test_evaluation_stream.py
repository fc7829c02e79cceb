"""The evaluation block by block gives the report of all predictions at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import evaluation_stream
from benchmarks.evaluation import ALPHAS
from benchmarks.evaluation_stream import drawn_log, drawn_predictions, evaluated, main, measured
from off_policy.intervals import EvidenceRequirements
from off_policy.policy_evaluation import evaluate_policies
from off_policy.target_policies import alpha_policies, constant_policy


@pytest.mark.parametrize("by_row", [False, True])
def test_it_is_the_evaluation_of_all_predictions(by_row: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation_stream, "BLOCK_ROWS", 700)
    log = drawn_log(2000, 4, by_row=by_row)
    found = evaluated(log, 4)
    q = np.concatenate([drawn_predictions(block, rows, 4) for block, rows in enumerate((700, 700, 600))])
    production = constant_policy("production", 0, log.rows)
    whole = evaluate_policies(log, alpha_policies(q, 1, ALPHAS), production, q, EvidenceRequirements())
    for ours, theirs in zip(found.policies, whole.policies, strict=True):
        assert ours.alpha == theirs.alpha
        for name, estimate in theirs.objectives["p2p"].estimates.items():
            other = ours.objectives["p2p"].estimates[name]
            assert other.value == pytest.approx(estimate.value, rel=1e-12)
            assert other.standard_error == pytest.approx(estimate.standard_error, rel=1e-12)


def test_users_have_one_cohort() -> None:
    log = drawn_log(4000, 4, by_row=False)
    assert log.units is not None and log.cohort is not None
    assert len({*zip(log.units.tolist(), log.cohort, strict=True)}) == len(set(log.units.tolist()))
    assert drawn_log(100, 4, by_row=True).units is None


def test_the_command_keeps_the_figures(tmp_path: Path) -> None:
    main(rows=500, arms=3, results=tmp_path)
    line = (tmp_path / "evaluation_stream.jsonl").read_text()
    assert '"peak_rss_mib"' in line
    assert '"by": "user"' in line
    assert measured(500, 3, by_row=True)["peak_rss_mib"] > 10
