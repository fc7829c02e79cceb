"""The fates of input events: each event of the log ends in exactly one of them."""

from __future__ import annotations

from enum import StrEnum


class Fate(StrEnum):
    """What became of an input event; the values are those of `event_schemas.records.FATES`."""

    JOINED = "joined"
    """Part of an example, or a heartbeat that was heard."""
    DUPLICATE = "duplicate"
    """The same content again, in whatever schema version, or an engagement_id the decision already has."""
    CONFLICT = "conflict"
    """Another record of the same request_id and type came first; that one is kept."""
    LATE = "late"
    """Its own window had ended before it came: event_time + window ≤ watermark."""
    FUTURE = "future"
    """Its event time lies further ahead of its append time than the allowed skew."""
    OUTSIDE = "outside"
    """An engagement that counts for no objective: outside every attribution window of its kind."""
    ORPHAN = "orphan"
    """It expired without an open request, or came after its decision closed."""
    INCOMPLETE = "incomplete"
    """Its request came, but the decision closed without an action or a propensity."""
    MALFORMED = "malformed"
    """Not a valid record of the events topic: undecodable, with a wrong key or with an impossible value."""


SILENT = frozenset({Fate.JOINED, Fate.DUPLICATE, Fate.OUTSIDE})
"""Fates that leave no dead letter; every other one does."""
