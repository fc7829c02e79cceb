"""The learners of other libraries: their script gets the columns of a ridge regression, their failures are told."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import learner_peers
from benchmarks.learner_peers import SETTINGS, TRIED, LearnerPeerMissing, peer_values, state_columns, validation_losses
from benchmarks.learner_worlds import LearnerLog, learner_log
from learner.network.linear_values import linear_arm_columns

SHARE = """
import json, sys, numpy as np
given = np.load(sys.argv[3])
shape = len(given["tested"]), len(given["actions"]), given["rewards"].shape[1]
np.save(sys.argv[4], np.broadcast_to(given["rewards"].mean(axis=0), shape) + json.loads(sys.argv[2]).get("l2", 0.0))
print(json.dumps({"cpu_s": 1.5}))
"""


@pytest.fixture(scope="module")
def log() -> LearnerLog:
    return learner_log(1, 1_400, 60)


def test_the_script_reads_the_log_and_its_values_are_those_of_all_arms(
    log: LearnerLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "script.py").write_text(SHARE)
    monkeypatch.setattr(learner_peers, "SCRIPT", tmp_path / "script.py")
    arms = linear_arm_columns(log.experiment.action_space)
    values, seconds = peer_values("any", {}, log.training, log.tested.inputs, arms, Path(sys.executable))
    assert values.shape == (60, 50, 2) and seconds == 1.5
    np.testing.assert_allclose(values[0, 0], log.training.mean_rewards(), rtol=1e-5)
    losses = validation_losses(log, Path(sys.executable))
    assert losses["boosted_trees"] == pytest.approx([2.0] * 3, abs=0.05)  # a mean explains no variance
    assert losses["vowpal_wabbit"][2] > 1_000


def test_columns_are_standardised_by_the_training_rows(log: LearnerLog) -> None:
    state, later = state_columns(log.training.inputs, log.tested.inputs)
    assert state.shape[1] == later.shape[1] > 20 and np.abs(state).max() <= 8
    varies = state.std(axis=0) > 0
    np.testing.assert_allclose(state[:, varies].std(axis=0), 1.0, atol=0.1)


def test_what_is_measured_was_tried() -> None:
    assert all(SETTINGS[name] in tried for name, tried in TRIED.items())


def test_what_is_missing_or_fails_is_told(log: LearnerLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arms = linear_arm_columns(log.experiment.action_space)
    with pytest.raises(LearnerPeerMissing, match="not installed") as missing:
        peer_values("any", {}, log.training, log.tested.inputs, arms, tmp_path / "python")
    assert "make bench-learners" in missing.value.fix
    (tmp_path / "script.py").write_text("raise SystemExit(3)")
    monkeypatch.setattr(learner_peers, "SCRIPT", tmp_path / "script.py")
    with pytest.raises(LearnerPeerMissing, match="code 3"):
        peer_values("any", {}, log.training, log.tested.inputs, arms, Path(sys.executable))
