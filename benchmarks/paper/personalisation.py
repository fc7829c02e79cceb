"""Finding 4, Table 3: personalised weights against static ones with the same averages, paired by request.

Two static rivals on the same requests, all by exact values: the *marginal*, which serves a request each arm with the
share that the learned policy serves it with (the expectation over all ways to deal out its arms among the requests),
and the *nearest* arm of the grid to the average of the learned policy's weights, distances on normalised weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.paper.lift_points import over_seeds
from benchmarks.paper.replication import ALPHAS, KnownRequests
from event_schemas.action_space import ActionSpace

COMPARED = (3, 12, 18)
"""Places in ALPHAS: 0.125, 0.5 and 0.75."""
POLICIES = ("learned", "marginal", "nearest")


def rival_values(known: KnownRequests, arms: NDArray[np.int64], space: ActionSpace) -> dict[str, NDArray[np.float64]]:
    """By POLICIES: the exact value of each request, [k, objectives]; `arms` int[k] are the learned policy's."""
    shares = np.bincount(arms, minlength=space.arms) / len(arms)
    return {
        "learned": known.values[np.arange(len(arms)), arms],
        "marginal": np.einsum("kao,a->ko", known.values, shares),
        "nearest": known.values[:, nearest_arm(arms, space)],
    }


def nearest_arm(arms: NDArray[np.int64], space: ActionSpace) -> int:
    """The arm that is nearest to the average weights of `arms`; each weight is divided by its range."""
    weights = np.asarray(space.weights, dtype=np.float64)
    spans = weights.max(axis=0) - weights.min(axis=0)
    away = (weights - weights[arms].mean(axis=0)) / spans
    return int((away**2).sum(axis=1).argmin())


def personalised(known: KnownRequests, space: ActionSpace) -> list[dict[str, Any]]:
    """For each α of COMPARED: average weights, lifts of the rivals in percent, and what the learned policy gains.

    `gain` over each rival is that of the utility at α, in percent of production's.
    """
    rows = []
    base = known.values[:, known.production].mean(axis=0)
    for place in COMPARED:
        arms, alpha = known.arms[place], float(ALPHAS[place])
        values = {name: each.mean(axis=0) for name, each in rival_values(known, arms, space).items()}
        utility = {name: float(each @ [1.0 - alpha, alpha]) for name, each in values.items()}
        at_production = float(base @ [1.0 - alpha, alpha])
        rows.append(
            {
                "alpha": alpha,
                "weights": np.asarray(space.weights)[arms].mean(axis=0).tolist(),
                "nearest": np.asarray(space.weights)[nearest_arm(arms, space)].tolist(),
                "lifts": {name: (100.0 * (each / base - 1.0)).tolist() for name, each in values.items()},
                "gain": {name: 100.0 * (utility["learned"] - utility[name]) / at_production for name in POLICIES[1:]},
            }
        )
    return rows


def summary(runs: Sequence[Sequence[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Over seeds, for each α: average weights, lifts and gains with intervals."""
    cells = []
    for rows in zip(*runs, strict=True):
        lifts = {
            name: [over_seeds([row["lifts"][name][objective] for row in rows]) for objective in range(2)]
            for name in POLICIES
        }
        cells.append(
            {
                "alpha": rows[0]["alpha"],
                "weights": [over_seeds([row["weights"][place] for row in rows]) for place in range(2)],
                "nearest": [over_seeds([row["nearest"][place] for row in rows]) for place in range(2)],
                "lifts": lifts,
                "gain": {name: over_seeds([row["gain"][name] for row in rows]) for name in POLICIES[1:]},
            }
        )
    return cells
