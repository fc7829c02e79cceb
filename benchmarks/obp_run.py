"""Runs the peer Open Bandit Pipeline on the input of `benchmarks.evaluation`, in its own environment."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from event_schemas.errors import TrimtabError
from off_policy.logged_bandit import LoggedBandit
from off_policy.numeric_arrays import FloatArray, IntArray

HERE = Path(__file__).parent
SCRIPT = HERE / "peers" / "obp_evaluation.py"
PYTHON = HERE.parent / "build" / "peers" / "obp" / "bin" / "python"


class ObpMissing(TrimtabError):
    """Open Bandit Pipeline is not installed, or it failed."""


def run_obp(
    log: LoggedBandit, q: FloatArray, arms: Sequence[IntArray], cohorts: Sequence[str], python: Path = PYTHON
) -> dict[str, Any]:
    """What `peers/obp_evaluation.py` prints, for the chosen `arms` int[n] of each policy and every row in a cohort.

    Raises ObpMissing.
    """
    fix = "make bench-obp"
    if not python.exists():
        raise ObpMissing("Open Bandit Pipeline is not installed", fix=fix)
    assert log.cohort is not None
    numbers = np.array([cohorts.index(str(name)) for name in log.cohort])
    with TemporaryDirectory() as folder:
        sweep = Path(folder) / "sweep.npz"
        np.savez(
            sweep,
            action=log.action,
            pscore=log.propensity,
            reward=log.reward,
            cohort=numbers,
            q=q,
            arms=np.stack(arms),
        )
        done = subprocess.run(
            [str(python), "-P", str(SCRIPT), str(sweep)],
            env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
    if done.returncode != 0:
        raise ObpMissing(f"Open Bandit Pipeline ended with code {done.returncode}; its error is above", fix=fix)
    found: dict[str, Any] = json.loads(done.stdout)
    return found
