"""The records that a decision writes to the log.

All of them have the request's time, so that a retried send repeats the same bytes and the join counts it as
`duplicate` and not as `conflict`.
"""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from event_schemas.action_space import ActionSpace
from event_schemas.number_bounds import EXACT_INTEGERS, LARGEST_FLOAT
from event_schemas.records import (
    ActionRecord,
    HeadSummaryRecord,
    PropensityRecord,
    RankingRecord,
)
from event_schemas.shown_text import shown
from event_schemas.slices import Slice
from serving_agent.decide.decision_errors import InvalidConfirmation
from serving_agent.decide.fallback_reason import FallbackReason

HeadSummaries = Mapping[str, Mapping[str, float]]
LONGEST_SUMMARY = 300
"""How much of a broken summary an error quotes, in characters."""


class DecisionFacts(NamedTuple):
    """The facts of a decision, without the request: a sidecar keeps thousands of decisions until they are confirmed.

    `propensity` = P(arm | slice, request); `slice_probability` = P(slice | request) intended at the draw;
    `sampling_rate` = P(logged | request, slice), and `logged` is the outcome of that draw. `probabilities` has the
    distribution that a policy drew its arm from, if the decision is logged; for other draws it follows from the action
    space and is empty.
    `vector` has the weights of arm 0 of a box, in file order, and `log_density` the logarithm of their density given
    that arm. `exploration` is the digest of the settings that the decision was drawn with, and `exploration_rate` ε_t.
    `served_to` is the user if the agent remembers what users were served.
    """

    request_id: str
    event_time: int
    eligible: tuple[int, ...]
    weights: Mapping[str, float]
    arm: int
    slice: Slice
    propensity: float
    slice_probability: float
    sampling_rate: float
    logged: bool
    policy_version: str
    config_revision: int
    fallback_reason: FallbackReason | None = None
    shadow_arm: int | None = None
    experiment_arm: str | None = None
    probabilities: tuple[float, ...] = ()
    vector: tuple[float, ...] = ()
    log_density: float | None = None
    shadow_weights: tuple[float, ...] = ()
    exploration: str | None = None
    exploration_rate: float = 0.0
    served_to: str | None = None


def served_weights(facts: DecisionFacts, space: ActionSpace) -> list[float]:
    """The weights of a decision in file order; not read from `facts.weights`, which belong to the caller."""
    weights: list[float] = list(facts.vector) or space.weights[facts.arm].tolist()
    return weights


def action_record(facts: DecisionFacts, space: ActionSpace) -> ActionRecord:
    """The Action of a decision."""
    reason = facts.fallback_reason
    return {
        "request_id": facts.request_id,
        "event_time": facts.event_time,
        "slice": facts.slice.value,
        "arm": facts.arm,
        "shadow_arm": facts.shadow_arm,
        "eligible": list(facts.eligible),
        "weights": served_weights(facts, space),
        "action_space": space.digest,
        "policy_version": facts.policy_version,
        "config_revision": facts.config_revision,
        "experiment_arm": facts.experiment_arm,
        "fallback_reason": None if reason is None else reason.value,
        "shadow_weights": list(facts.shadow_weights),
    }


def propensity_record(facts: DecisionFacts) -> PropensityRecord:
    """The Propensity of a decision."""
    return {
        "request_id": facts.request_id,
        "event_time": facts.event_time,
        "propensity": facts.propensity,
        "slice_probability": facts.slice_probability,
        "sampling_rate": facts.sampling_rate,
        "probabilities": list(facts.probabilities),
        "log_density": facts.log_density,
        "exploration": facts.exploration,
    }


def ranking_record(
    facts: DecisionFacts, heads: HeadSummaries, served: Sequence[str], ranker_version: str
) -> RankingRecord:
    """The Ranking of a decision; raises InvalidConfirmation."""
    return {
        "request_id": facts.request_id,
        "event_time": facts.event_time,
        "ranker_version": _text("ranker_version", ranker_version),
        "heads": [_head_summary(_text("heads", name), summary) for name, summary in heads.items()],
        "served": [_text("served", str(item)) for item in served],
    }


def _text(name: str, text: str) -> str:
    """The text, if it can be encoded as UTF-8; otherwise Avro would refuse it, and the Ranking would be lost."""
    try:
        text.encode()
    except (AttributeError, UnicodeEncodeError) as fault:
        raise InvalidConfirmation(f"{name} is not UTF-8 text: {fault}", fix=f"send {name} as text") from fault
    return text


def _head_summary(head: str, summary: Mapping[str, float]) -> HeadSummaryRecord:
    try:
        count = int(summary["count"])
        mean, p10, p50, p90 = (float(summary[name]) for name in ("mean", "p10", "p50", "p90"))
    except (KeyError, TypeError, ValueError, OverflowError) as fault:
        raise InvalidConfirmation(
            f"heads.{head} = {shown(summary, LONGEST_SUMMARY)} is not a summary: {fault!r}",
            fix="give count, mean, p10, p50 and p90 for every head",
        ) from fault
    bounded = all(math.isfinite(value) and abs(value) <= LARGEST_FLOAT for value in (mean, p10, p50, p90))
    if not (1 <= count < EXACT_INTEGERS and bounded and p10 <= p50 <= p90):
        raise InvalidConfirmation(
            f"heads.{head} = {shown(summary, LONGEST_SUMMARY)}:"
            " count must be 1 to 2^53, the values finite and p10 ≤ p50 ≤ p90",
            fix="send a summary of the head over this request's candidates",
        )
    return {"head": head, "count": count, "mean": mean, "p10": p10, "p50": p50, "p90": p90}
