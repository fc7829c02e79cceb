"""The finite set of arms one experiment chooses from: a weight grid plus production, or a catalogue of arms."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ActionSpace:
    """Arms in index order.

    `weights` has shape [arms, weights] (catalogue: [arms, 0]); `features` is float32 of shape [arms, features]: the
    normalised weights `(w − low)/(high − low)` (PRL-PUTS, Eq. 6) or the catalogue's feature vectors. `digest` is the
    SHA-256 (hex) of the canonical section; a checkpoint only applies to the action space with its digest.
    """

    kind: Literal["grid", "catalogue"]
    digest: str
    arm_names: tuple[str, ...]
    weight_names: tuple[str, ...]
    production_arm: int
    weights: NDArray[np.float64]
    features: NDArray[np.float32]

    @property
    def arms(self) -> int:
        """Number of arms, production included."""
        return len(self.arm_names)

    def weights_by_name(self, arm: int) -> dict[str, float]:
        """The arm's weights as `{name: weight}`; empty for a catalogue."""
        return dict(zip(self.weight_names, self.weights[arm].tolist(), strict=True))


@dataclass(frozen=True)
class Axis:
    """One tuned weight: its production value and `steps` linearly spaced values from `low` to `high`."""

    name: str
    production: float
    low: float
    high: float
    steps: int


def grid_action_space(axes: Sequence[Axis]) -> ActionSpace:
    """Cartesian grid in row-major file order with the production arm last (PRL-PUTS, Eq. 2, plus production)."""
    values = [np.linspace(axis.low, axis.high, axis.steps) for axis in axes]
    weights = np.array([*itertools.product(*values), tuple(axis.production for axis in axes)], dtype=np.float64)
    low = np.array([axis.low for axis in axes])
    high = np.array([axis.high for axis in axes])
    names = ["/".join(f"{axis.name}={w:g}" for axis, w in zip(axes, row, strict=True)) for row in weights[:-1]]
    section = {
        "weights": [
            {
                "name": a.name,
                "production": float(a.production),
                "low": float(a.low),
                "high": float(a.high),
                "steps": a.steps,
            }
            for a in axes
        ]
    }
    return ActionSpace(
        kind="grid",
        digest=section_digest(section),
        arm_names=(*names, "production"),
        weight_names=tuple(axis.name for axis in axes),
        production_arm=len(weights) - 1,
        weights=weights,
        features=((weights - low) / (high - low)).astype(np.float32),
    )


def catalogue_action_space(
    production: str, feature_names: Sequence[str], arms: Mapping[str, Sequence[float]]
) -> ActionSpace:
    """Arms in file order, each with a feature vector; `production` names the arm that stands in for the policy."""
    names = tuple(arms)
    section = {
        "catalogue": {
            "production": production,
            "features": list(feature_names),
            "arms": [{"name": name, "features": [float(x) for x in arms[name]]} for name in names],
        }
    }
    return ActionSpace(
        kind="catalogue",
        digest=section_digest(section),
        arm_names=names,
        weight_names=(),
        production_arm=names.index(production),
        weights=np.zeros((len(names), 0)),
        features=np.array([arms[name] for name in names], dtype=np.float32).reshape(len(names), len(feature_names)),
    )


def section_digest(section: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of JSON with sorted keys, no spaces, UTF-8, floats as Python's shortest repr."""
    canonical = json.dumps(section, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8")).hexdigest()
