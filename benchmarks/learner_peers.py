"""Learners of other libraries, in their own environment, on the columns that a ridge regression reads.

Each has three settings, tried once on the 20,000 rows of a seed that the study does not have (`python -m
benchmarks.learner_peers`): a tenth of the users is predicted from the others, and the setting with the least squared
error, each objective's in units of its variance, is the one that is measured at every size.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray

from benchmarks.command_line import report, run_command
from benchmarks.learner_worlds import LearnerLog, learner_log
from event_schemas.errors import TrimtabError
from feature_contract import ModelInput
from learner.examples.learning_rows import LearningRows
from learner.network.linear_learning import LEAST_DEVIATION, common_values
from learner.network.linear_values import KEPT_VALUES, WIDEST, linear_arm_columns, raw_columns
from learner.network.training import input_tensors
from learner.network.validation_units import validation_rows

HERE = Path(__file__).parent
SCRIPT = HERE / "peers" / "learner_fit.py"
PYTHON = HERE.parent / "build" / "peers" / "learners" / "bin" / "python"
TUNING_SEED = 1_001
TRIED: dict[str, tuple[dict[str, Any], ...]] = {
    "boosted_trees": (
        {"learning_rate": 0.1, "max_iter": 60, "max_leaf_nodes": 7},
        {"learning_rate": 0.1, "max_iter": 100, "max_leaf_nodes": 15},
        {"learning_rate": 0.05, "max_iter": 200, "max_leaf_nodes": 31},
    ),
    "vowpal_wabbit": (
        {"passes": 5, "learning_rate": 0.05},
        {"bfgs": True, "passes": 30, "l2": 100.0},
        {"bfgs": True, "passes": 30, "l2": 1000.0},
    ),
}
SETTINGS = {"boosted_trees": TRIED["boosted_trees"][0], "vowpal_wabbit": TRIED["vowpal_wabbit"][2]}
"""Losses of those tried, on 2026-12-01: 1.810, 1.824 and 1.849 of trees; 1.8136, 1.8102 and 1.8100 of Vowpal Wabbit."""


class LearnerPeerMissing(TrimtabError):
    """The learners of other libraries are not installed, or one failed."""


def peers_installed(python: Path = PYTHON) -> bool:
    """Whether `make bench-learners` was run."""
    return python.exists()


def peer_values(
    learner: str,
    setting: Mapping[str, Any],
    rows: LearningRows,
    tested: ModelInput,
    actions: NDArray[np.float32],
    python: Path = PYTHON,
) -> tuple[NDArray[np.float32], float]:
    """(values [n, arms, objectives] of the `tested` requests, CPU seconds) after a fit to the rows in one thread.

    `actions` float32[arms, k] are the arms' columns. Raises LearnerPeerMissing.
    """
    if not peers_installed(python):
        raise LearnerPeerMissing("scikit-learn and Vowpal Wabbit are not installed", fix="make bench-learners")
    state, later = state_columns(rows.inputs, tested)
    with TemporaryDirectory() as folder:
        log, values = Path(folder) / "log.npz", Path(folder) / "values.npy"
        np.savez(
            log,
            state=state,
            arms=rows.arms,
            rewards=rows.rewards,
            actions=actions,
            tested=later,
        )
        done = subprocess.run(
            [str(python), "-P", str(SCRIPT), learner, json.dumps(setting), str(log), str(values)],
            env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise LearnerPeerMissing(
                f"{learner} ended with code {done.returncode}; its error is above", fix="make bench-learners"
            )
        return np.load(values), float(json.loads(done.stdout)["cpu_s"])


def state_columns(inputs: ModelInput, later: ModelInput) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """float32[n, d] and [m, d]: the columns of `linear` of both, standardised by those of `inputs`, as it does."""
    kept = [torch.from_numpy(common_values(inputs)[name]) for name in KEPT_VALUES]
    with torch.inference_mode():
        raw, other = (raw_columns(input_tensors(each), *kept).numpy() for each in (inputs, later))
    means, deviations = raw.mean(axis=0, dtype=np.float64), raw.std(axis=0, dtype=np.float64)
    scales = np.where(deviations > LEAST_DEVIATION, 1.0 / np.maximum(deviations, LEAST_DEVIATION), 0.0)
    first, second = (np.clip((each - means) * scales, -WIDEST, WIDEST).astype(np.float32) for each in (raw, other))
    return first, second


def measured_peer(learner: str, log: LearnerLog) -> tuple[NDArray[np.float32], float]:
    """(values of the log's tested requests, CPU seconds) of a learner with its setting."""
    arms = linear_arm_columns(log.experiment.action_space)
    return peer_values(learner, SETTINGS[learner], log.training, log.tested.inputs, arms)


def validation_losses(log: LearnerLog, python: Path = PYTHON) -> dict[str, list[float]]:
    """The loss of every setting of each learner on a tenth of the users, after a fit to the others.

    It is the sum over objectives of the mean squared error in units of the rewards' variance.
    """
    aside, arms = validation_rows(log.training), linear_arm_columns(log.experiment.action_space)
    fitted, tried = log.training.take(~aside), log.training.take(aside)
    found = dict[str, list[float]]()
    for learner, settings in TRIED.items():
        found[learner] = []
        for setting in settings:
            values, _ = peer_values(learner, setting, fitted, tried.inputs, arms, python)
            errors = np.square(values[np.arange(tried.count), tried.arms] - tried.rewards).mean(axis=0)
            found[learner].append(round(float((errors / tried.rewards.var(axis=0)).sum()), 5))
    return found


def main(
    rows: Annotated[int, typer.Option(min=700, help="Explored rows, about.")] = 20_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Try the peers' settings on training-side validation.

    Example: python -m benchmarks.learner_peers --rows 200000 --json
    """
    losses = validation_losses(learner_log(TUNING_SEED, rows, 1))
    report({"rows": rows, "seed": TUNING_SEED, "settings": TRIED, "losses": losses}, as_json)


if __name__ == "__main__":
    run_command(main)
