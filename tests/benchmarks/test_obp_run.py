"""The peer obp: its script gets the input, its failures are told."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import obp_run
from benchmarks.evaluation import COHORTS, SweepInput
from benchmarks.obp_run import ObpMissing, run_obp

READ = """
import json, sys, numpy as np
with np.load(sys.argv[1]) as given:
    print(json.dumps({name: list(given[name].shape) for name in given}))
"""


def test_the_script_reads_log_predictions_and_arms(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "script.py").write_text(READ)
    monkeypatch.setattr(obp_run, "SCRIPT", tmp_path / "script.py")
    given = SweepInput.drawn(50, 3)
    found = run_obp(given.log, given.q, [given.log.action, given.log.action], COHORTS, Path(sys.executable))
    assert found == {
        "action": [50],
        "pscore": [50],
        "reward": [50, 2],
        "cohort": [50],
        "q": [50, 3, 2],
        "arms": [2, 50],
    }


def test_what_is_missing_or_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = SweepInput.drawn(50, 3)
    with pytest.raises(ObpMissing, match="not installed") as missing:
        run_obp(given.log, given.q, [given.log.action], COHORTS, tmp_path / "python")
    assert missing.value.fix == "make bench-obp"
    (tmp_path / "script.py").write_text("raise SystemExit(3)")
    monkeypatch.setattr(obp_run, "SCRIPT", tmp_path / "script.py")
    with pytest.raises(ObpMissing, match="code 3"):
        run_obp(given.log, given.q, [given.log.action], COHORTS, Path(sys.executable))
