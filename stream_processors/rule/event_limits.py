"""The values an event may carry: what makes a decodable record malformed.

`fault_of` is the definition. The columnar reader only finds the rows that are certainly sound and leaves the others to
`fault_of`, so both ways of reading give the same verdict.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import isfinite
from typing import Any

from event_schemas import records as r
from stream_processors.rule.join_rule import JoinRule

EVENT_RECORDS = frozenset({r.REQUEST, r.ACTION, r.PROPENSITY, r.RANKING, r.ENGAGEMENT, r.HEARTBEAT})
PROBABILITIES = ("propensity", "slice_probability", "sampling_rate")
HEAD_VALUES = ("mean", "p10", "p50", "p90")
MOST_VALUE = 1e12
"""An Engagement's value lies within ± this: no sum of them is ever infinite."""


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
        case r.ACTION:
            yield from _action_faults(record, rule)
        case r.PROPENSITY:
            for field in PROBABILITIES:
                if not 0.0 < record[field] <= 1.0:
                    yield f"{field} = {record[field]!r} is outside (0, 1]"
            for index, value in enumerate(record["probabilities"]):
                if not 0.0 <= value <= 1.0:
                    yield f"probabilities[{index}] = {value!r} is outside [0, 1]"
        case r.RANKING:
            for head in record["heads"]:
                yield from _non_finite(f"heads {head['head']!r}", (head[field] for field in HEAD_VALUES))
        case r.ENGAGEMENT:
            if not record["engagement_id"]:
                yield "engagement_id is empty"
            if not -MOST_VALUE <= record["value"] <= MOST_VALUE:
                yield f"value = {record['value']!r} is outside ±{MOST_VALUE:.0e}"


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
    yield from _non_finite("weights", record["weights"])


def _non_finite(field: str, values: Iterable[float]) -> Iterator[str]:
    for index, value in enumerate(values):
        if not isfinite(value):
            yield f"{field}[{index}] = {value!r} is not finite"
