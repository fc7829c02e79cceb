"""A caller's request for a decision, and the Request record made from it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Number

import numpy as np

from event_schemas.event_bounds import request_id_fault
from event_schemas.number_bounds import LARGEST_FLOAT
from event_schemas.records import ContextFeatureRecord, HistoryItemRecord, RequestRecord
from event_schemas.user_ids import present
from serving_agent.decide.decision_errors import InvalidRequest
from serving_agent.decide.previous_weights import ServedWeights, previous_records
from serving_agent.decide.request_values import listed, whole_number

ContextValue = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class DecisionRequest:
    """A request to be decided; everything is optional, and None means absent, in `context` too.

    A blank `user_id`, `session_id` or `cohort` is absent.
    `request_id` is drawn when absent. `user_id` decides which arm of
    an online experiment, such as a canary, the user is in. `history` holds the user's
    last actions, oldest first, with times in epoch milliseconds. `eligible` lists the arms that exploration and
    policies may choose (empty: all); CONTROL and FALLBACK serve the production arm even if it is not listed.
    `event_time` (epoch ms) may be given only in an experiment with `join.clock = "replay"`.
    `previous` lists the weights that the user was served before, newest first, as the answers to their requests gave
    them. Only the newest 100 count. An empty list says that there were none, while with None a node that remembers what
    it served (`serving.remember_previous`) fills them in.
    """

    request_id: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    cohort: str | None = None
    user_embedding: Sequence[float] = ()
    context: Mapping[str, ContextValue] = field(default_factory=dict)
    history: Sequence[HistoryItemRecord] = ()
    eligible: Sequence[int] = ()
    event_time: int | None = None
    previous: Sequence[ServedWeights] | None = None

    def as_record(self, request_id: str, event_time: int, weight_names: Sequence[str] = ()) -> RequestRecord:
        """The Request record of this request with the given id and time (epoch ms); raises InvalidRequest.

        `weight_names` are those of the action space, in order; a catalogue has none.
        """
        return {
            "request_id": _identifier(request_id),
            "event_time": event_time,
            "user_id": _optional_text("user_id", self.user_id),
            "session_id": _optional_text("session_id", self.session_id),
            "cohort": _optional_text("cohort", self.cohort),
            "user_embedding": _numbers("user_embedding", self.user_embedding),
            "context": _context(self.context),
            "history": [_history_item(slot, item) for slot, item in enumerate(listed("history", self.history))],
            "previous": previous_records(self.previous, weight_names, event_time),
        }

    def eligible_arms(self, arms: int) -> tuple[int, ...]:
        """The eligible arms in index order; `arms` is the size of the action space. Raises InvalidRequest."""
        chosen = tuple(sorted({whole_number("eligible", arm) for arm in listed("eligible", self.eligible)}))
        if chosen and (chosen[0] < 0 or chosen[-1] >= arms):
            raise InvalidRequest(
                f"eligible names arm {chosen[0] if chosen[0] < 0 else chosen[-1]}, outside 0..{arms - 1}",
                fix="send arm indices of this experiment's action space, or leave eligible empty for all",
            )
        return chosen


def _context(context: Mapping[str, ContextValue] | None) -> list[ContextFeatureRecord]:
    if context is None:
        return []
    if not isinstance(context, Mapping):
        raise InvalidRequest(f"context is a {type(context).__name__}", fix="send context as a map of name → value")
    return [_context_feature(_text("context", name), value) for name, value in context.items() if value is not None]


def _context_feature(name: str, value: ContextValue) -> ContextFeatureRecord:
    if isinstance(value, bool | np.bool_):
        return {"name": name, "value": "true" if value else "false"}
    if not isinstance(value, str | Number):
        raise InvalidRequest(
            f"context.{name} is a {type(value).__name__}", fix="send text, a number or a boolean, or leave it out"
        )
    try:
        shown = value if isinstance(value, str) else str(value)
    except ValueError as fault:
        raise InvalidRequest(f"context.{name} has too many digits", fix="send a smaller number") from fault
    return {"name": name, "value": _text(f"context.{name}", shown)}


def _history_item(slot: int, item: HistoryItemRecord) -> HistoryItemRecord:
    where = f"history[{slot}]"
    if not isinstance(item, Mapping):
        raise InvalidRequest(f"{where} is a {type(item).__name__}", fix="send every item as a map of name → value")
    absent = [name for name in ("item_id", "action_type", "event_time") if item.get(name) is None]
    if absent:
        raise InvalidRequest(
            f"{where} lacks {', '.join(absent)}", fix="give item_id, action_type and event_time (epoch ms)"
        )
    return {
        "item_id": _text(f"{where}.item_id", item["item_id"]),
        "action_type": _text(f"{where}.action_type", item["action_type"]),
        "event_time": whole_number(f"{where}.event_time", item["event_time"]),
        "embedding": _numbers(f"{where}.embedding", item.get("embedding")),
    }


def _numbers(name: str, values: Sequence[float] | None) -> list[float]:
    """The values as floats; none for None, and none if one is not finite: the feature then counts as missing.

    A number outside the range of Avro's float is refused, as the Request could not be logged.
    """
    try:
        numbers = [] if values is None else [float(value) for value in values]
    except (TypeError, ValueError, OverflowError) as fault:
        raise InvalidRequest(f"{name} is not a list of numbers: {fault}", fix=f"send {name} as numbers") from fault
    if any(LARGEST_FLOAT < abs(number) < math.inf for number in numbers):
        raise InvalidRequest(f"{name} holds a number outside the range of 32-bit floats", fix=f"scale {name}")
    return numbers if all(map(math.isfinite, numbers)) else []


def _identifier(text: str) -> str:
    fault = request_id_fault(_text("request_id", text))
    if fault is not None:
        raise InvalidRequest(fault.what, fix=f"{fault.fix}; or send none, and use the id in the answer")
    return text


def _optional_text(name: str, text: str | None) -> str | None:
    return None if text is None else present(_text(name, text))


def _text(name: str, text: str) -> str:
    """The text, if it can be encoded as UTF-8, as hashing and logging need; a lone surrogate cannot."""
    try:
        text.encode()
    except (AttributeError, UnicodeEncodeError) as fault:
        raise InvalidRequest(f"{name} is not UTF-8 text: {fault}", fix=f"send {name} as a string") from fault
    return text
