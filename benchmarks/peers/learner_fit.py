"""`python learner_fit.py LEARNER SETTING LOG.npz VALUES.npy`: a peer's values of all arms, after a fit to a log.

Runs in an environment of its own (`make bench-learners`), so it imports nothing of Trimtab. LOG has `state` [n, d] and
`arms` int[n] of the training rows, their `rewards` [n, objectives], the arms' columns `actions` [arms, k], and `tested`
[m, d]. VALUES become float32[m, arms, objectives]. SETTING is a JSON object. Prints the CPU seconds of the fits, in
which those of Vowpal Wabbit include reading its text.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def boosted_trees(log: Mapping[str, Any], setting: Mapping[str, Any]) -> tuple[Floats, float]:
    """(values [m, arms], CPU seconds) of scikit-learn's histogram gradient boosting on the columns of user and arm."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    pairs = np.concatenate([log["state"], log["actions"][log["arms"]]], axis=1)
    started = time.process_time()
    trees = HistGradientBoostingRegressor(**setting, early_stopping=False, random_state=0).fit(pairs, log["rewards"])
    seconds = time.process_time() - started
    arms, tested = log["actions"], log["tested"]
    every = np.concatenate([np.repeat(tested, len(arms), axis=0), np.tile(arms, (len(tested), 1))], axis=1)
    return np.asarray(trees.predict(every), dtype=np.float32).reshape(len(tested), len(arms)), seconds


def vowpal_wabbit(log: Mapping[str, Any], setting: Mapping[str, Any]) -> tuple[Floats, float]:
    """(values [m, arms], CPU seconds) of its linear learner on user, arm, user × arm, and an indicator of each arm."""
    import vowpalwabbit

    arms, tested = log["actions"], log["tested"]
    shown = [f"|a {_columns(columns)} |e {number}" for number, columns in enumerate(arms)]
    bounds = "--min_prediction=-10 --max_prediction=10"  # else unlikely arms would have the same value
    with TemporaryDirectory() as folder:
        rows, every, model, found = (Path(folder) / name for name in ("rows", "every", "model", "found"))
        labels = zip(log["rewards"], log["arms"], _states(log["state"]), strict=True)
        rows.write_text("".join(f"{reward:g} {state} {shown[arm]}\n" for reward, arm, state in labels))
        every.write_text("".join(f"{state} {arm}\n" for state in _states(tested) for arm in shown))
        options = " ".join(f"--{name} {value}".replace(" True", "") for name, value in setting.items())
        started = time.process_time()
        fit = f"--quiet --predict_only_model -b 18 -q sa {bounds} {options} -k --cache_file {rows}.cache"
        vowpalwabbit.Workspace(f"{fit} -d {rows} -f {model}").finish()
        seconds = time.process_time() - started
        vowpalwabbit.Workspace(f"--quiet --predict_only_model -t -i {model} -d {every} -p {found}").finish()
        values = np.loadtxt(found, dtype=np.float32, usecols=0)
    return values.reshape(len(tested), len(arms)), seconds


def _states(columns: Floats) -> Iterator[str]:
    return (f"|s {_columns(row)}" for row in columns)


def _columns(row: Floats) -> str:
    return " ".join(f"{place}:{value:.4g}" for place, value in enumerate(row.tolist()) if value)


def fitted(learner: str, setting: Mapping[str, Any], log: Mapping[str, Any]) -> tuple[Floats, float]:
    """(values [m, arms, objectives], CPU seconds): a fit for each objective."""
    fits = {"boosted_trees": boosted_trees, "vowpal_wabbit": vowpal_wabbit}
    found = [fits[learner]({**log, "rewards": rewards}, setting) for rewards in log["rewards"].T]
    return np.stack([values for values, _ in found], axis=2), sum(seconds for _, seconds in found)


if __name__ == "__main__":
    name, given, source, target = sys.argv[1:]
    with np.load(source) as arrays:
        predicted, cpu = fitted(name, json.loads(given), dict(arrays))
    np.save(target, predicted)
    sys.stdout.write(json.dumps({"cpu_s": cpu}))
