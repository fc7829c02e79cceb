"""The α of a frontier that a person should look at first: leaning to either objective, and the knee between them.

All three are chosen among the α that may be proposed (`pareto_frontier.proposable`): on the frontier, and no
objective's lift below zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from off_policy.evaluation_report import FrontierPoint
from off_policy.numeric_arrays import FloatArray

FEWEST_FOR_A_KNEE = 3


@dataclass(frozen=True, slots=True)
class FrontierChoice:
    """One candidate: `role` is `leans:OBJECTIVE` or `knee`."""

    role: str
    point: FrontierPoint


@dataclass(frozen=True, slots=True)
class FrontierChoices:
    """`candidates` in the order of the objectives, the knee between them; `refusal` says why there are none.

    `knee` is that of the whole frontier, which may lose on an objective; None if the frontier has fewer than 3 points.
    """

    candidates: tuple[FrontierChoice, ...]
    knee: FrontierPoint | None
    refusal: str | None


def frontier_choices(points: Sequence[FrontierPoint], objectives: Sequence[str]) -> FrontierChoices:
    """The candidates of a frontier over two objectives."""
    if len(objectives) != 2 or not points:
        return FrontierChoices((), None, "α trades two objectives against each other, and there are no policies for it")
    front = [point for point in points if point.on_front]
    if not front:
        return FrontierChoices((), None, "no α has a defined lift on both objectives: too few matched rows")
    lifts = np.array([[point.lifts[name].relative for name in objectives] for point in front])
    bulge = distance_from_chord(lifts)
    knee = front[int(bulge.argmax())] if len(front) >= FEWEST_FOR_A_KNEE else None
    offers = [place for place, point in enumerate(front) if point.proposable]
    if not offers:
        best = front[int(lifts.min(axis=1).argmax())]
        worst = min(objectives, key=lambda name: best.lifts[name].relative)
        least = best.lifts[worst].relative
        sentence = (
            f"every α loses on an objective; α = {best.alpha:g} loses least, {least:+.1%} on {worst}."
            " A candidate needs a policy at least as good as the baseline on both: learn from more explored rows"
        )
        return FrontierChoices((), knee, sentence)
    first, second = (max(offers, key=lambda place, o=o: lifts[place, o]) for o in (0, 1))  # type: ignore[misc]
    middle = max(offers, key=lambda place: bulge[place])
    candidates = (
        FrontierChoice(f"leans:{objectives[0]}", front[first]),
        FrontierChoice("knee", front[middle]),
        FrontierChoice(f"leans:{objectives[1]}", front[second]),
    )
    return FrontierChoices(candidates, knee, None)


def distance_from_chord(lifts: FloatArray) -> FloatArray:
    """float[P]: how far each point of a frontier float[P, 2] lies beyond the line through its two ends (Das 1999).

    Each objective is first scaled to [0, 1] between the frontier's least and largest lift, so that units do not matter;
    the ends have distance 0. An objective that does not vary counts as 0.
    """
    low, spread = lifts.min(axis=0), np.ptp(lifts, axis=0)
    scaled = np.where(spread > 0.0, (lifts - low) / np.where(spread > 0.0, spread, 1.0), 0.0)
    found: FloatArray = (scaled.sum(axis=1) - 1.0) / np.sqrt(2.0)
    return found
