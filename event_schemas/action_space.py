"""What one experiment chooses from: a weight grid plus production, a box of weights, or a catalogue of arms."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

VECTOR = 0
"""The arm of a box whose weights each Action carries itself."""
OVERSHOOT = 1e-6
"""How far a weight of a vector may be outside its bounds, as a share of their distance: a vector may be rounded."""

Weights = TypeVar("Weights", float, NDArray[np.float64])


@dataclass(frozen=True)
class ActionSpace:
    """Arms in index order.

    A box has two: arm 0 is any vector inside the bounds, which each Action carries itself, and arm 1 is production.

    `weights` has shape [arms, weights] (catalogue: [arms, 0]); `features` is float32 of shape [arms, features]: the
    normalised weights `(w − low)/(high − low)` (PRL-PUTS, Eq. 6) or the catalogue's feature vectors. Both are NaN for
    arm 0 of a box. `low` and `high` (float64[weights]) bound the weights; they are empty for a catalogue. `digest` is
    the SHA-256 (hex) of the canonical section; a checkpoint only applies to the action space with its digest.
    """

    kind: Literal["grid", "box", "catalogue"]
    digest: str
    arm_names: tuple[str, ...]
    weight_names: tuple[str, ...]
    production_arm: int
    weights: NDArray[np.float64]
    features: NDArray[np.float32]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @property
    def arms(self) -> int:
        """Number of arms, production included."""
        return len(self.arm_names)

    def weights_by_name(self, arm: int) -> dict[str, float]:
        """The arm's weights as `{name: weight}`; empty for a catalogue.

        Raises ValueError for arm 0 of a box: it has no weights of its own, they are those of the Action.
        """
        if self.kind == "box" and arm != self.production_arm:
            raise ValueError("arm 0 of a box is a vector of its own in each Action: take the weights from there")
        return dict(zip(self.weight_names, self.weights[arm].tolist(), strict=True))

    def normalised(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """(w − low)/(high − low) of weights [..., weights]: 0 to 1 inside the bounds (PRL-PUTS, Eq. 6)."""
        scaled: NDArray[np.float64] = (weights - self.low) / (self.high - self.low)
        return scaled


@dataclass(frozen=True)
class Bounds:
    """One tuned weight: its production value and the interval that it is chosen from."""

    name: str
    production: float
    low: float
    high: float

    def normalised(self, weight: Weights) -> Weights:
        """(w − low)/(high − low): 0 to 1 on the grid, beyond it for a production weight outside (PRL-PUTS, Eq. 6)."""
        return (weight - self.low) / (self.high - self.low)

    @property
    def section(self) -> dict[str, Any]:
        """What the action space's digest covers of this weight."""
        bounds = {"production": self.production, "low": self.low, "high": self.high}
        return {"name": self.name, **{name: float(bound) for name, bound in bounds.items()}}


@dataclass(frozen=True)
class Axis(Bounds):
    """A weight with `steps` linearly spaced values from `low` to `high`.

    The weights of one `group` move together: at its k-th step each member has its own k-th value.
    """

    steps: int
    group: str | None = None

    @property
    def values(self) -> NDArray[np.float64]:
        """float64[steps], ascending."""
        return np.linspace(self.low, self.high, self.steps)

    def label(self, weight: float) -> str:
        """How an arm's name shows this weight: with six digits."""
        return f"{self.name}={weight:g}"

    @property
    def section(self) -> dict[str, Any]:
        """What the action space's digest covers of this weight."""
        grouped = {} if self.group is None else {"group": self.group}
        return {**super().section, "steps": self.steps, **grouped}


def grid_action_space(axes: Sequence[Axis]) -> ActionSpace:
    """Cartesian grid in row-major file order with the production arm last (PRL-PUTS, Eq. 2, plus production).

    A group counts as one axis, at the place of its first member (the grouping of DRL-PUT). Raises ValueError if the
    members of a group have different numbers of steps.
    """
    moving = moving_axes(axes)
    place = {axis.name: number for number, members in enumerate(moving) for axis in members}
    steps = np.indices([members[0].steps for members in moving]).reshape(len(moving), -1)
    columns = [axis.values[steps[place[axis.name]]] for axis in axes]
    production = np.array([axis.production for axis in axes], dtype=np.float64)
    weights = np.vstack([np.column_stack(columns), production])
    names = ["/".join(axis.label(w) for axis, w in zip(axes, row, strict=True)) for row in weights[:-1]]
    return ActionSpace(
        kind="grid",
        digest=section_digest({"weights": [axis.section for axis in axes]}),
        arm_names=(*names, "production"),
        weight_names=tuple(axis.name for axis in axes),
        production_arm=len(weights) - 1,
        weights=weights,
        features=np.column_stack(
            [axis.normalised(column) for axis, column in zip(axes, weights.T, strict=True)]
        ).astype(np.float32),
        low=np.array([axis.low for axis in axes], dtype=np.float64),
        high=np.array([axis.high for axis in axes], dtype=np.float64),
    )


def moving_axes(axes: Sequence[Axis]) -> list[list[Axis]]:
    """The axes that move together, in the order of their first members.

    Raises ValueError if the members of a group have different numbers of steps.
    """
    groups: dict[str, list[Axis]] = {}
    for number, axis in enumerate(axes):
        groups.setdefault(f"alone {number}" if axis.group is None else f"group {axis.group}", []).append(axis)
    for members in groups.values():
        odd = next((axis for axis in members if axis.steps != members[0].steps), None)
        if odd is not None:
            raise ValueError(
                f"the group {odd.group!r} moves together, but {members[0].name!r} has {members[0].steps} steps and"
                f" {odd.name!r} has {odd.steps}: give all of them the same number"
            )
    return list(groups.values())


def box_action_space(sides: Sequence[Bounds]) -> ActionSpace:
    """A box of weights: arm 0 is the vector that an Action carries, arm 1 is production."""
    production = np.array([side.production for side in sides], dtype=np.float64)
    scaled = np.array([side.normalised(side.production) for side in sides], dtype=np.float64)
    nothing = np.full(len(sides), np.nan)
    return ActionSpace(
        kind="box",
        digest=section_digest({"weights": [side.section for side in sides]}),
        arm_names=("vector", "production"),
        weight_names=tuple(side.name for side in sides),
        production_arm=1,
        weights=np.vstack([nothing, production]),
        features=np.vstack([nothing, scaled]).astype(np.float32),
        low=np.array([side.low for side in sides], dtype=np.float64),
        high=np.array([side.high for side in sides], dtype=np.float64),
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
        low=np.zeros(0),
        high=np.zeros(0),
    )


def section_text(section: Mapping[str, Any]) -> str:
    """JSON with sorted keys and no spaces, floats as Python's shortest repr."""
    return json.dumps(section, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def section_digest(section: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of `section_text` in UTF-8."""
    return hashlib.sha256(section_text(section).encode("utf-8")).hexdigest()
