"""`python obp_evaluation.py SWEEP.npz`: the estimates of Open Bandit Pipeline for every policy, objective and cohort.

Runs in an environment of its own (`make bench-obp`), so it imports nothing of Trimtab. Prints one JSON object: CPU
seconds, those of one bootstrap interval, and all values. Choosing the arms is not counted. obp imports torch for the
gradients of tensors alone and plotting libraries for its charts; stand-ins keep both out.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import time
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

RESAMPLES = 1000


def load_estimators() -> dict[str, Any]:
    """obp's estimators by our names; those of them that are unbiased, or for display in both."""
    torch = types.ModuleType("torch")
    torch.Tensor = type("Tensor", (), {})  # type: ignore[attr-defined]
    sys.modules.setdefault("torch", torch)
    found = importlib.util.find_spec("obp")
    assert found is not None and found.origin is not None
    package = types.ModuleType("obp.ope")
    package.__path__ = [str(Path(found.origin).with_name("ope"))]
    sys.modules["obp.ope"] = package
    from obp.ope import estimators

    return {
        "ips": estimators.InverseProbabilityWeighting(),
        "snips": estimators.SelfNormalizedInverseProbabilityWeighting(),
        "reward_at_hit": estimators.ReplayMethod(),
        "dm": estimators.DirectMethod(),
        "dr": estimators.DoublyRobust(),
        "sndr": estimators.SelfNormalizedDoublyRobust(),
    }


def cell_values(estimators: Mapping[str, Any], log: Mapping[str, np.ndarray], q: np.ndarray) -> dict[str, float]:
    """The value of each estimator, from obp's arguments and its predictions q float[k, arms, 1]."""
    return {
        name: float(each.estimate_policy_value(**log, estimated_rewards_by_reg_model=q))
        for name, each in estimators.items()
    }


def evaluated(estimators: Mapping[str, Any], sweep: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """All values, as [policy][scope][objective][estimator], and the CPU seconds; scope 0 are all rows."""
    action, pscore, reward, q, cohort = (sweep[name] for name in ("action", "pscore", "reward", "q", "cohort"))
    rows, width, objectives = q.shape
    began = time.process_time()
    scopes = [np.arange(rows), *(np.flatnonzero(cohort == number) for number in range(int(cohort.max()) + 1))]
    values = []
    for arms in sweep["arms"]:
        chosen = np.zeros((rows, width, 1))
        chosen[np.arange(rows), arms, 0] = 1.0
        of_policy = []
        for kept in scopes:
            part = {"action": action[kept], "pscore": pscore[kept], "action_dist": chosen[kept]}
            of_policy.append(
                [
                    cell_values(estimators, part | {"reward": reward[kept, place]}, q[kept, :, place : place + 1])
                    for place in range(objectives)
                ]
            )
        values.append(of_policy)
    cpu, began = time.process_time() - began, time.process_time()
    everything = {"action": action, "pscore": pscore, "reward": reward[:, 0], "action_dist": chosen}
    estimators["dr"].estimate_interval(
        **everything, estimated_rewards_by_reg_model=q[:, :, :1], n_bootstrap_samples=RESAMPLES, random_state=0
    )
    return {"values": values, "cpu_seconds": cpu, "interval_cpu_seconds": time.process_time() - began}


if __name__ == "__main__":
    with np.load(sys.argv[1]) as given:
        sys.stdout.write(json.dumps(evaluated(load_estimators(), dict(given))))
