"""The values that an event may carry: one rule for all who write events, and for the join that reads them.

Whoever writes events (loggers, sidecar, bridge, replay) refuses with a fix what the join would refuse as `malformed`,
and what is surely a slip: an id that no URL can hold, a kind that differs from a declared one only in case or spaces,
a time in another unit. The join refuses only what it can never use; it counts the rest under its own name
(`trimtab_join_outside_total`). A blank user, session, cohort or item is absent (`user_ids.present`); a blank id of a
record is refused.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import NamedTuple

from event_schemas.plausible_times import (
    LONGEST_AHEAD_MS,
    LONGEST_PAST_MS,
    UNIT_WORDS,
    day_text,
    likely_reading,
)
from event_schemas.records import EngagementRecord
from event_schemas.shown_text import shown

LONGEST_ID = 256
"""Characters of a request_id or kind. An engagement_id, which may be made of a request_id, has up to twice as many."""
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
"""Control characters of ASCII and Latin-1, line breaks among them."""
MOST_VALUE = 1e12
"""The largest value of an engagement: no sum of them is ever infinite."""


class BoundFault(NamedTuple):
    """What is wrong with a value, naming its field, and how to fix it."""

    what: str
    fix: str

    def __str__(self) -> str:
        return f"{self.what} | fix: {self.fix}"


def identifier_fault(field: str, text: str, longest: int = LONGEST_ID) -> BoundFault | None:
    """The fault of an id or kind; None when it has 1 to `longest` characters, is not blank and has no controls."""
    if not text.strip():
        return BoundFault(f"{field} is empty" if not text else f"{field} = {shown(text)} is blank", f"fill {field}")
    if len(text) > longest:
        return BoundFault(f"{field} has {len(text)} characters", f"send 1 to {longest} characters")
    if CONTROL.search(text):
        return BoundFault(f"{field} = {shown(text)} has control characters", "leave out control characters")
    return None


def request_id_fault(text: str) -> BoundFault | None:
    """The fault of a request_id; None when it is an identifier that can be part of a URL."""
    fault = identifier_fault("request_id", text)
    if fault is None and not {".", ".."}.isdisjoint(text.split("/")):
        return BoundFault(
            f"request_id = {shown(text)} cannot be part of a URL, by which sidecars confirm decisions",
            "leave out the segments . and ..",
        )
    return fault


def engagement_id_fault(text: str) -> BoundFault | None:
    """The fault of an engagement_id; None when it is an identifier."""
    return identifier_fault("engagement_id", text, 2 * LONGEST_ID)


def kind_fault(kind: str, declared: Collection[str]) -> BoundFault | None:
    """The fault of an engagement kind; None when it is declared, or like none that is.

    Kinds that nothing counts may be sent: the join counts them as `unknown_kind`.
    """
    if kind in declared:
        return None
    alike = meant_by(kind, declared)
    if alike is not None:
        return BoundFault(f"kind = {shown(kind)} is not declared, but {shown(alike)} is", f"write {shown(alike)}")
    return identifier_fault("kind", kind)


def meant_by(name: str, declared: Collection[str]) -> str | None:
    """The declared name that differs from `name` only in case or spaces around it; None when there is none."""
    return next((one for one in sorted(declared) if one != name and _folded(one) == _folded(name)), None)


def unit_fault(field: str, time_ms: int, now_ms: int) -> BoundFault | None:
    """The fault of a time that would be near `now_ms` in another unit; None for every other time.

    A time that is just long ago or far ahead is the join's to judge: it knows the watermark.
    """
    meant = likely_reading(time_ms, now_ms - LONGEST_PAST_MS, now_ms + LONGEST_AHEAD_MS)
    if meant is None or meant in (UNIT_WORDS["ms"], UNIT_WORDS["d"]):
        return None
    return BoundFault(
        f"{field} = {time_ms} is {day_text(time_ms)}: it looks like {meant}", "send milliseconds since the epoch"
    )


def amount_fault(field: str, value: float) -> BoundFault | None:
    """The fault of an engagement's value; None when it is 0 to `MOST_VALUE`."""
    if 0.0 <= value <= MOST_VALUE:
        return None
    return BoundFault(f"{field} = {value!r} is not between 0 and {MOST_VALUE:.0e}", "write an amount of 0 or more")


def engagement_fault(engagement: EngagementRecord, kinds: Collection[str], now_ms: int) -> BoundFault | None:
    """The first fault of an engagement that is about to be written at `now_ms`; None when it has none.

    `kinds` are those that the experiment declares. The fields must have the types that their schema demands.
    """
    return (
        request_id_fault(engagement["request_id"])
        or engagement_id_fault(engagement["engagement_id"])
        or kind_fault(engagement["kind"], kinds)
        or unit_fault("event_time", engagement["event_time"], now_ms)
        or amount_fault("value", engagement["value"])
    )


def _folded(name: str) -> str:
    return name.strip().casefold()
