"""Finding 2, the shape of Table 1: a repin-leaning, a balanced and a P2P-leaning α, chosen offline and run online."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.paper.lift_points import Point, lifts_of, mean_points, over_seeds, worse_lift
from benchmarks.paper.replication import ONLINE_ALPHAS

NAMES = ("repin-leaning", "balanced", "P2P-leaning")


def chosen_three(offline: Sequence[Sequence[Point]]) -> list[int]:
    """Places of the online grid: the α with the best smaller lift on the hold-out (the knee), and one on each side.

    The knee is taken from the inner α, so that it has two neighbours.
    """
    knee = 1 + int(worse_lift(lifts_of(offline)[1:-1]).argmax())
    return [knee - 1, knee, knee + 1]


def trade_off(offline: Sequence[Sequence[Point]], online: Sequence[Sequence[Point]]) -> list[dict[str, Any]]:
    """For each of NAMES: its α, and the points of both sides for each objective."""
    return [
        {"name": name, "alpha": float(ONLINE_ALPHAS[place]), "offline": offline[place], "online": online[place]}
        for name, place in zip(NAMES, chosen_three(offline), strict=True)
    ]


def ordered(table: Sequence[dict[str, Any]], side: str, field: str) -> bool:
    """Whether from policy to policy the first objective's lift falls and the second one's rises."""
    lifts = lifts_of([row[side] for row in table], field)
    return bool((np.diff(lifts[:, 0]) < 0.0).all() and (np.diff(lifts[:, 1]) > 0.0).all())


def summary(runs: Sequence[Sequence[dict[str, Any]]]) -> dict[str, Any]:
    """Over seeds: α and lifts of each policy, and in how many seeds the order is as in the paper."""
    rows = []
    for place, name in enumerate(NAMES):
        own = [run[place] for run in runs]
        lifts = {
            side: [mean_points([row[side][objective] for row in own]) for objective in range(len(own[0][side]))]
            for side in ("offline", "online")
        }
        rows.append({"name": name, "alpha": over_seeds([row["alpha"] for row in own]), **lifts})
    sides = (("offline", "lift"), ("online", "lift"), ("online", "true"))
    shape = {f"{side} {field}": sum(ordered(run, side, field) for run in runs) for side, field in sides}
    return {"rows": rows, "ordered": shape, "seeds": len(runs)}
