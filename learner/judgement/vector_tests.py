"""Tests the explored vectors of a box: each weight must be distributed, and each density be, as the settings say.

P(drawn ≤ weight) of a weight that was drawn from its distribution is uniform on [0, 1] (the probability integral
transform), which a Kolmogorov–Smirnov test compares. It also finds what recomputing draws cannot: rows that are lost
where their weights are large.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import kolmogorov

from event_schemas.action_space import ActionSpace
from learner.examples.learning_rows import LearningRows
from learner.judgement.box_distributions import BoxColumns
from learner.judgement.recomputed_draws import misfit
from learner.judgement.tested_part import TestedPart

DENSITY_ROUNDING = 1e-4
"""How far a logged log density may be from that of the settings; another system may round it."""
FEWEST_VECTORS = 5


def vector_tests(rows: LearningRows, space: ActionSpace) -> list[TestedPart]:
    """A test for each weight of the vectors with known settings, and p = 0 if a density or a place is wrong."""
    settings = rows.settings
    tested = (rows.arms != space.production_arm) & ~settings.lost
    columns = BoxColumns.of(rows.frame, space)
    cdfs, density = np.full(columns.normalised.shape, np.nan), np.full(rows.count, np.nan)
    for index, each in enumerate(settings.settings):
        members = np.flatnonzero(tested & (settings.group == index))
        if len(members) and not misfit(space, each):
            part = BoxColumns.of(rows.frame[members], space)
            cdfs[members] = part.cdfs(each)
            density[members] = part.exploring(each).log_density(part.normalised)
    inside = ((columns.normalised >= 0.0) & (columns.normalised <= 1.0)).all(axis=1)
    right = inside & (np.abs(columns.log_density - density) <= DENSITY_ROUNDING)
    found = [_wrong(rows, columns, density, tested & ~right)] if (tested & ~right).any() else []
    drawn = cdfs[tested & right]
    if len(drawn) < FEWEST_VECTORS:
        return [*found, TestedPart(1.0, "vectors", "too few vectors for the test")]
    return [*found, *(_uniform(name, drawn[:, weight]) for weight, name in enumerate(space.weight_names))]


def _wrong(
    rows: LearningRows, columns: BoxColumns, density: NDArray[np.float64], wrong: NDArray[np.bool_]
) -> TestedPart:
    first = int(np.flatnonzero(wrong)[0])
    request_id = rows.frame["request_request_id"][first]
    weights = rows.frame["action_weights"][first].to_list()
    detail = (
        f"{wrong.sum()} of {rows.count} rows have a vector that was not drawn as the settings say: request"
        f" {request_id!r} has the weights {weights} with the log density {columns.log_density[first]:g}, but their"
        f" distribution gives {density[first]:g}"
    )
    return TestedPart(0.0, "vectors", detail)


def _uniform(name: str, cdfs: NDArray[np.float64]) -> TestedPart:
    """Kolmogorov–Smirnov against the uniform distribution, with Stephens' correction for finite samples."""
    count = len(cdfs)
    ordered, steps = np.sort(cdfs), np.arange(count + 1) / count
    distance = float(max((steps[1:] - ordered).max(), (ordered - steps[:-1]).max()))
    root = math.sqrt(count)
    p_value = float(kolmogorov((root + 0.12 + 0.11 / root) * distance))
    return TestedPart(p_value, "vectors", f"weight {name}: Kolmogorov-Smirnov distance {distance:.4f}, {count} vectors")
