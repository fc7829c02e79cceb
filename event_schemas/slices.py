"""Which slice a request falls into, which arm it explores, and with what probabilities.

Every draw is a pure hash of an identifier, so a replay draws the same values and no state is kept. The identifier is
the request's id, or that of its exploration unit (`exploration_units`) for the coins `explore` and `control`, and of
its log unit for the coin `log`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from event_schemas.action_space import ActionSpace


class Slice(StrEnum):
    """Slices of the traffic, in the order in which they are drawn."""

    EXPLORE = "EXPLORE"
    CONTROL = "CONTROL"
    POLICY = "POLICY"
    FALLBACK = "FALLBACK"


@dataclass(frozen=True, slots=True)
class SliceDraw:
    """A slice and the P(slice | request) that the draw used."""

    slice: Slice
    slice_probability: float


@dataclass(frozen=True, slots=True)
class ArmDraw:
    """An arm and P(arm | EXPLORE, request)."""

    arm: int
    propensity: float


@dataclass(frozen=True, slots=True)
class SamplingDraw:
    """Whether the decision is logged, and P(logged | request, slice)."""

    logged: bool
    sampling_rate: float


def coin(salt: str, purpose: str, identifier: str) -> float:
    """u in [0, 1]: the first 8 bytes, big-endian, of SHA-256(salt ‖ 0 ‖ purpose ‖ 0 ‖ identifier) over 2^64.

    As a double it rounds up to 1 for one identifier in 2^54.
    """
    text = f"{salt}\x00{purpose}\x00{identifier}".encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") / 2**64


def draw_slice(salt: str, unit: str, *, exploration_rate: float, control_rate: float) -> SliceDraw:
    """EXPLORE ⇔ u(explore) < ε; CONTROL ⇔ else u(control) < control rate; POLICY otherwise.

    `exploration_rate` is ε_t, already lowered by caps and 0 when killed.
    """
    if coin(salt, "explore", unit) < exploration_rate:
        return SliceDraw(Slice.EXPLORE, exploration_rate)
    if coin(salt, "control", unit) < control_rate:
        return SliceDraw(Slice.CONTROL, (1 - exploration_rate) * control_rate)
    return SliceDraw(Slice.POLICY, (1 - exploration_rate) * (1 - control_rate))


def exploration_distribution(
    space: ActionSpace, eligible: Sequence[int], production_share: float
) -> NDArray[np.float64]:
    """P(arm | EXPLORE, request), shape [arms], summing to 1.

    In a grid or a box, production has probability `production_share` and the other arms share the rest equally; a
    catalogue is uniform. Only `eligible` arms count (empty = all). If production is not eligible, the others share
    everything; if only production is eligible, it has probability 1. Raises ValueError for an arm outside the space.
    """
    if eligible and (min(eligible) < 0 or max(eligible) >= space.arms):
        raise ValueError(f"eligible arms {sorted(eligible)} are not all in 0..{space.arms - 1}")
    allowed = np.zeros(space.arms, dtype=bool)
    allowed[list(eligible) if eligible else slice(None)] = True
    others = allowed.copy()
    share = 0.0
    if space.kind != "catalogue":
        others[space.production_arm] = False
        share = production_share if allowed[space.production_arm] else 0.0
        share = 1.0 if not others.any() else share
    probabilities = np.zeros(space.arms)
    if others.any():
        probabilities[others] = (1 - share) / int(others.sum())
    if share > 0:
        probabilities[space.production_arm] = share
    return probabilities


def draw_arm(space: ActionSpace, u: float, eligible: Sequence[int], production_share: float) -> ArmDraw:
    """The explored arm for u = u(arm): production below its share, else uniform over the rest in index order."""
    probabilities = exploration_distribution(space, eligible, production_share)
    production = space.production_arm
    share = 0.0 if space.kind == "catalogue" else float(probabilities[production])
    if u < share or share == 1:
        return ArmDraw(production, share)
    candidates = np.flatnonzero(probabilities)
    if space.kind != "catalogue":
        candidates = candidates[candidates != production]
    position = min(int((u - share) / (1 - share) * len(candidates)), len(candidates) - 1)
    arm = int(candidates[position])
    return ArmDraw(arm, float(probabilities[arm]))


def draw_sampling(salt: str, log_unit: str, drawn: Slice, log_rate: float) -> SamplingDraw:
    """EXPLORE and CONTROL are always logged; POLICY and FALLBACK ⇔ u(log) < log rate.

    `log_unit` is the identifier that the coin hashes (`exploration_units.log_unit_of`).
    """
    if drawn in (Slice.EXPLORE, Slice.CONTROL):
        return SamplingDraw(True, 1.0)
    return SamplingDraw(coin(salt, "log", log_unit) < log_rate, log_rate)


def can_be_logged(
    salt: str,
    unit: str,
    *,
    exploration_rate: float,
    control_rate: float,
    log_rate: float,
    log_unit: str | None = None,
) -> bool:
    """Whether a node could log decisions of this unit at some exploration rate between 0 and `exploration_rate`.

    `log_unit` is what the coin `log` hashes, by default the exploration unit. One draw at the full rate answers this
    for every lower rate: an id that a lower rate puts into CONTROL, POLICY or FALLBACK is, at the full rate, either in
    the same slice or in EXPLORE, which is always logged.
    """
    drawn = draw_slice(salt, unit, exploration_rate=exploration_rate, control_rate=control_rate)
    return draw_sampling(salt, unit if log_unit is None else log_unit, drawn.slice, log_rate).logged
