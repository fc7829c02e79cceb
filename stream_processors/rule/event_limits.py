"""The values an event may carry: what makes a decodable record malformed.

`fault_of` is the definition for one record, and `contradiction` for an Action and a Propensity of one decision. The
values that whoever writes events must not send either are in `event_schemas.event_bounds`.
The columnar reader only finds the rows that are certainly sound and leaves the others to `fault_of`, so both ways of
reading give the same verdict.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import fsum, isfinite
from typing import Any

import numpy as np

from event_schemas import records as r
from event_schemas.action_space import VECTOR
from event_schemas.event_bounds import LONGEST_ID, amount_fault
from event_schemas.shown_text import shown
from event_schemas.slices import Slice
from stream_processors.rule.box_limits import density_contradiction
from stream_processors.rule.join_rule import JoinRule

EVENT_RECORDS = frozenset({r.REQUEST, r.ACTION, r.PROPENSITY, r.RANKING, r.ENGAGEMENT, r.HEARTBEAT})
PROBABILITIES = ("propensity", "slice_probability", "sampling_rate")
HEAD_VALUES = ("mean", "p10", "p50", "p90")
CHOOSING = frozenset({Slice.EXPLORE, Slice.POLICY})
"""Slices that choose among the eligible arms; the others serve production, eligible or not."""
FLOAT_NOISE = 1e-9
ROUNDING = 5e-5
"""Probabilities may be rounded to four decimals: how far each of them may be off by that."""
SUM_TOLERANCE, MOST_SUM_TOLERANCE = 1e-3, 0.05
"""How far the sum of `probabilities` may be from 1, in any case and with however many arms."""
PROBABILITY_TOLERANCE = 2e-3
"""How far `propensity` may be from the probability of its arm beyond that, as a share of it."""


def fault_of(name: str, record: Mapping[str, Any], rule: JoinRule) -> str | None:
    """The first fault of a decoded record, naming field and value; None when it may join."""
    if name not in EVENT_RECORDS:
        return f"record type {name} does not belong on the events topic"
    if name != r.HEARTBEAT and not record["request_id"]:
        return "request_id is empty"
    return next(_faults(name, record, rule), None)


def _faults(name: str, record: Mapping[str, Any], rule: JoinRule) -> Iterator[str]:
    match name:
        case r.REQUEST:
            yield from _non_finite("user_embedding", record["user_embedding"])
            for index, item in enumerate(record["history"]):
                yield from _non_finite(f"history[{index}].embedding", item["embedding"])
            for index, served in enumerate(record["previous"]):
                yield from _non_finite(f"previous[{index}].weights", served["weights"])
        case r.ACTION:
            yield from _action_faults(record, rule)
        case r.PROPENSITY:
            for field in PROBABILITIES:
                if not 0.0 < record[field] <= 1.0:
                    yield f"{field} = {record[field]!r} is outside (0, 1]"
            yield from _distribution_faults(record, rule)
            yield from _draw_faults(record, rule)
        case r.RANKING:
            for head in record["heads"]:
                yield from _non_finite(f"heads {head['head']!r}", (head[field] for field in HEAD_VALUES))
        case r.ENGAGEMENT:
            if not record["engagement_id"]:
                yield "engagement_id is empty"
            if (fault := amount_fault("value", record["value"])) is not None:
                yield fault.what


def _action_faults(record: Mapping[str, Any], rule: JoinRule) -> Iterator[str]:
    if record["action_space"] != rule.action_space:
        yield f"action_space = {record['action_space']!r} is not this experiment's {rule.action_space!r}"
    arms = f"0 to {rule.arms - 1}"
    if not 0 <= record["arm"] < rule.arms:
        yield f"arm = {record['arm']} is not one of the arms {arms}"
    shadow = record["shadow_arm"]
    if shadow is not None and not 0 <= shadow < rule.arms:
        yield f"shadow_arm = {shadow} is not one of the arms {arms}"
    for index, arm in enumerate(record["eligible"]):
        if not 0 <= arm < rule.arms:
            yield f"eligible[{index}] = {arm} is not one of the arms {arms}"
    chooses, eligible = record["slice"] in CHOOSING, record["eligible"]
    if chooses and eligible and record["arm"] not in eligible:
        chosen = f"arm = {record['arm']} is not eligible"
        yield f"{chosen}: {record['slice']} chooses only among eligible = {shown(eligible)}"
    yield from _weight_faults(record, rule)
    shadow_weights = record["shadow_weights"]
    yield from _non_finite("shadow_weights", shadow_weights)
    if rule.box is not None and shadow_weights:
        yield from rule.box.vector_faults("shadow_weights", shadow_weights)


def _weight_faults(action: Mapping[str, Any], rule: JoinRule) -> Iterator[str]:
    weights, arm, declared = action["weights"], action["arm"], rule.arm_weights
    yield from _non_finite("weights", weights)
    if rule.box is not None and arm == VECTOR:
        yield from rule.box.vector_faults("weights", weights)
        return
    if weights and len(weights) != declared.width:
        yield f"weights has {len(weights)} values, but the experiment tunes {declared.width} weights"
    elif weights and not declared.match(np.array([arm]), np.array([weights])).all():
        yield f"weights = {weights} are not those of arm = {arm}: {declared.of(arm)}"


def _distribution_faults(propensity: Mapping[str, Any], rule: JoinRule) -> Iterator[str]:
    probabilities = propensity["probabilities"]
    for index, value in enumerate(probabilities):
        if not 0.0 <= value <= 1.0:
            yield f"probabilities[{index}] = {value!r} is outside [0, 1]"
    if not probabilities:
        return
    if len(probabilities) != rule.arms:
        yield f"probabilities has {len(probabilities)} values, but the experiment has {rule.arms} arms"
    if abs((total := fsum(probabilities)) - 1.0) > sum_tolerance(rule.arms):
        yield f"probabilities sum to {total:.6g}, not 1"
    if not any(_is_probability(propensity["propensity"], value) for value in probabilities):
        yield f"propensity = {propensity['propensity']!r} is none of the probabilities"


def _draw_faults(propensity: Mapping[str, Any], rule: JoinRule) -> Iterator[str]:
    density, exploration = propensity["log_density"], propensity["exploration"]
    if density is not None and not isfinite(density):
        yield f"log_density = {density!r} is not finite"
    if density is not None and rule.box is None:
        yield f"log_density = {density!r}, but only vectors of a box have a density, and the action space is none"
    if exploration is not None and len(exploration) > LONGEST_ID:
        yield f"exploration has {len(exploration)} characters, more than {LONGEST_ID}"


def sum_tolerance(arms: int) -> float:
    """How far the sum of probabilities of so many arms may be from 1: each of them may be rounded."""
    return min(max(SUM_TOLERANCE, arms * ROUNDING), MOST_SUM_TOLERANCE) + FLOAT_NOISE


def _is_probability(propensity: float, probability: float) -> bool:
    return abs(propensity - probability) <= PROBABILITY_TOLERANCE * probability + ROUNDING


def contradiction(action: Mapping[str, Any], propensity: Mapping[str, Any], rule: JoinRule) -> str | None:
    """Why a valid Action and a valid Propensity cannot belong to one decision; None when they can."""
    if rule.box is not None and (fault := density_contradiction(action, propensity)) is not None:
        return fault
    probabilities, arm, eligible = propensity["probabilities"], action["arm"], action["eligible"]
    if not probabilities:
        return None
    if not _is_probability(propensity["propensity"], probabilities[arm]):
        return (
            f"propensity = {propensity['propensity']!r}, but its decision's arm = {arm} has"
            f" probabilities[{arm}] = {probabilities[arm]!r}"
        )
    if action["slice"] in CHOOSING and eligible:
        for index in sorted(set(range(len(probabilities))) - set(eligible)):
            if probabilities[index] > 0.0:
                return f"probabilities[{index}] = {probabilities[index]!r}, but arm {index} is not in eligible"
    return None


def _non_finite(field: str, values: Iterable[float]) -> Iterator[str]:
    for index, value in enumerate(values):
        if not isfinite(value):
            yield f"{field}[{index}] = {value!r} is not finite"
