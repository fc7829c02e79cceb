"""What exploration is drawn for: each request, or each session.

With the unit `session` all requests of a session explore, or none do, so that consecutive requests of one user can be
seen exploring (drawn by request, hardly any two are). A session is named by its requests' ids: everything before the
last `~`. So whoever has a request's id knows its unit, and needs no state.
"""

from __future__ import annotations

from typing import Literal

from event_schemas.user_ids import person

SEPARATOR = "~"
Unit = Literal["request", "session"]


def unit_of(request_id: str, unit: Unit) -> str:
    """The identifier that the coins `explore`, `control` and `log` hash.

    For `session` it is the part of the id before its last `~`. An id without `~`, or with a blank or placeholder part
    before it (`user_ids`), is a unit of its own, as all ids are for `request`.
    """
    if unit == "request":
        return request_id
    prefix, found, _ = request_id.rpartition(SEPARATOR)
    return request_id if not found or person(prefix) is None else prefix


def session_request_id(session_id: str, unique: str) -> str:
    """The id of a request in a session; `unique` tells it apart from the session's other requests.

    Raises ValueError if `unique` contains `~`: the request would belong to another session.
    """
    if SEPARATOR in unique:
        raise ValueError(f"{unique!r} contains {SEPARATOR!r}, which ends the session's part of an id")
    return f"{session_id}{SEPARATOR}{unique}"
