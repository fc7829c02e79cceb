"""Figures of the study of learners' regret: means over seeds, differences from the network, and where it is ahead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.stats import t as student

NETWORK, RIDGE = "q_network", "linear"
FEWEST_SEEDS = 3
"""Shared seeds below which none is said to be ahead."""
Interval = list[float | None]
"""[mean, lower, upper]"""


def summary(runs: Sequence[dict[str, Any]], learners: Sequence[str]) -> list[dict[str, Any]]:
    """For each number of rows and learner: seeds, mean regret and 95 % interval at each α, mean CPU seconds.

    `beside_network` is the mean difference from the network on the seeds that both have, with its interval, or None
    without one; below 0 is better.
    """
    cells = []
    for rows in sorted({run["asked_rows"] for run in runs}):
        of_size = [run for run in runs if run["asked_rows"] == rows]
        own = {name: {run["seed"]: run["regret"] for run in of_size if run["learner"] == name} for name in learners}
        network = own[NETWORK]
        for name, found in own.items():
            if not found:
                continue
            differences = [np.subtract(found[seed], network[seed]) for seed in found if seed in network]
            cells.append(
                {
                    "rows": rows,
                    "learner": name,
                    "seeds": len(found),
                    "shared_seeds": len(differences),
                    "cpu_s": round(float(np.mean([run["cpu_s"] for run in of_size if run["learner"] == name])), 1),
                    "regret": [mean_interval(column) for column in zip(*found.values(), strict=True)],
                    "beside_network": [mean_interval(column) for column in zip(*differences, strict=True)] or None,
                }
            )
    return cells


def crossings(figures: Sequence[dict[str, Any]], alphas: Sequence[float]) -> list[dict[str, Any]]:
    """For each α and number of rows, which of network and ridge regression is ahead: "network", "linear" or "open".

    It is open with fewer than FEWEST_SEEDS shared seeds, and if the interval of the difference has 0 in it. `crossing`
    are the last number of rows at which the regression is ahead and the first after it at which the network is, None
    without both.
    """
    found = []
    for place, alpha in enumerate(alphas):
        ahead = {
            cell["rows"]: _ahead(cell["beside_network"][place], cell["shared_seeds"])
            for cell in figures
            if cell["learner"] == RIDGE and cell["beside_network"]
        }
        ridge = [rows for rows, name in ahead.items() if name == RIDGE]
        network = [rows for rows, name in ahead.items() if name == "network" and rows > max(ridge, default=rows)]
        found.append(
            {"alpha": alpha, "by_rows": ahead, "crossing": [max(ridge), min(network)] if ridge and network else None}
        )
    return found


def mean_interval(values: Sequence[float]) -> Interval:
    """[mean, lower, upper]: Student's 95 % interval over seeds; no bounds from fewer than two."""
    mean, count = float(np.mean(values)), len(values)
    if count < 2:
        return [round(mean, 3), None, None]
    half = float(student.ppf(0.975, count - 1) * np.std(values, ddof=1) / np.sqrt(count))
    return [round(mean, 3), round(mean - half, 3), round(mean + half, 3)]


def _ahead(difference: Interval, seeds: int) -> str:
    _, lower, upper = difference
    if seeds < FEWEST_SEEDS or lower is None or upper is None or lower <= 0 <= upper:
        return "open"
    return RIDGE if upper < 0 else "network"
