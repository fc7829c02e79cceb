"""The Engagement record of a call, checked against the rule for values (`event_schemas.event_bounds`)."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from operator import index
from typing import NamedTuple

from event_schemas import records as r
from event_schemas.errors import TrimtabError
from event_schemas.event_bounds import engagement_fault
from event_schemas.number_bounds import LONGS
from event_schemas.shown_text import shown
from event_schemas.user_ids import present

ID_SPACE = uuid.UUID("6c0e9e0c-6a0a-5c3f-9d0e-2f1a5b7c4d11")


class InvalidEngagement(TrimtabError):
    """A field of an engagement is unusable; the engagement is not logged."""


class EngagementRule(NamedTuple):
    """What engagements are checked against: the kinds that the experiment declares, and the time (epoch ms).

    `max_ahead_ms` is how far ahead of it an engagement may be; None in experiments that replay a log.
    """

    kinds: Collection[str]
    now_ms: int
    max_ahead_ms: int | None = None


def engagement_id_of(request_id: str, kind: str, event_time: int, item_id: str | None, value: float) -> str:
    """The id of an engagement that has none of its own: a UUID of its content, so that a retry is a duplicate."""
    parts = (request_id, kind, str(event_time), "" if item_id is None else f"={item_id}", repr(float(value)))
    return str(uuid.uuid5(ID_SPACE, "\x00".join(parts)))


def sound_engagement(given: r.EngagementRecord, rule: EngagementRule, has_id: bool) -> r.EngagementRecord:
    """The record of what a caller gave, with an id made of its content unless it `has_id`; raises InvalidEngagement."""
    request_id, kind = _text("request_id", given["request_id"]), _text("kind", given["kind"])
    event_time, value = _whole("event_time", given["event_time"]), _number("value", given["value"])
    item_id = None if given["item_id"] is None else present(_text("item_id", given["item_id"]))
    own = given["engagement_id"] if has_id else engagement_id_of(request_id, kind, event_time, item_id, value)
    record: r.EngagementRecord = {
        "engagement_id": _text("engagement_id", own),
        "request_id": request_id,
        "event_time": event_time,
        "kind": kind,
        "item_id": item_id,
        "value": value,
    }
    fault = engagement_fault(record, rule.kinds, rule.now_ms)
    if fault is not None:
        raise InvalidEngagement(fault.what, fix=fault.fix)
    if rule.max_ahead_ms is not None and (ahead := event_time - rule.now_ms) > rule.max_ahead_ms:
        raise InvalidEngagement(
            f"event_time = {event_time} is {ahead} ms ahead of this host's clock, more than join.max_future_skew",
            fix="send the time at which it happened, or leave it out; set the clocks",
        )
    return record


def _text(field: str, value: str) -> str:
    if not isinstance(value, str):
        raise InvalidEngagement(f"{field} is a {type(value).__name__}", fix=f"send {field} as a string")
    try:
        value.encode()
    except UnicodeEncodeError as fault:
        raise InvalidEngagement(f"{field} is not UTF-8 text: {fault}", fix=f"send {field} as a string") from fault
    return value


def _whole(field: str, value: int) -> int:
    try:
        whole = index(value)
    except TypeError as fault:
        raise InvalidEngagement(f"{field} = {shown(value)} is not a whole number", fix="send an integer") from fault
    if whole not in LONGS:
        raise InvalidEngagement(f"{field} does not fit into 64 bits", fix="send milliseconds since the epoch")
    return whole


def _number(field: str, value: float) -> float:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError) as fault:
        raise InvalidEngagement(f"{field} = {shown(value)} is not a number", fix="send a number") from fault
