"""A peer's script fits every objective, and passes its setting on; the learners themselves are fakes here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.peers import learner_fit

TREES = """
import numpy as np
class HistGradientBoostingRegressor:
    def __init__(self, **setting):
        self.setting = setting
    def fit(self, pairs, rewards):
        self.mean, self.width = rewards.mean(), pairs.shape[1]
        return self
    def predict(self, every):
        assert every.shape[1] == self.width and self.setting["early_stopping"] is False
        return self.mean + self.setting["learning_rate"] * every[:, -1]
"""


def drawn() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        "state": rng.normal(size=(30, 2)).astype(np.float32),
        "arms": rng.integers(3, size=30),
        "rewards": rng.random((30, 2)),
        "actions": np.array([[0.0], [1.0], [2.0]], dtype=np.float32),
        "tested": rng.normal(size=(4, 2)).astype(np.float32),
    }


def test_every_objective_has_a_fit_and_every_arm_a_value(tmp_path: Path) -> None:
    (tmp_path / "sklearn").mkdir()
    (tmp_path / "sklearn" / "__init__.py").touch()
    (tmp_path / "sklearn" / "ensemble.py").write_text(TREES)
    log, values = drawn(), tmp_path / "values.npy"
    np.savez(tmp_path / "log.npz", **log)
    setting = json.dumps({"learning_rate": 0.5})
    done = subprocess.run(
        [sys.executable, learner_fit.__file__, "boosted_trees", setting, str(tmp_path / "log.npz"), str(values)],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout)["cpu_s"] >= 0
    expected = log["rewards"].mean(axis=0) + 0.5 * log["actions"]
    np.testing.assert_allclose(np.load(values), np.broadcast_to(expected, (4, 3, 2)), rtol=1e-5)


def test_a_row_is_written_without_its_zeros() -> None:
    assert learner_fit._columns(np.array([0.5, 0.0, -2.0], dtype=np.float32)) == "0:0.5 2:-2"


def test_a_learner_without_an_environment_is_not_found() -> None:
    with pytest.raises(ModuleNotFoundError):
        learner_fit.fitted("vowpal_wabbit", {}, drawn())
