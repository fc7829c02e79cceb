"""What exploration is drawn for, each request or each session, and what the log is sampled by.

With the unit `session` all requests of a session explore, or none do, so that consecutive requests of one user can be
seen exploring (drawn by request, hardly any two are). A session is named by its requests' ids: everything before the
last `~`. So whoever has a request's id knows its unit, and needs no state.

The coin `log` may have a unit of its own, which keeps together in the log what is counted together: all requests of a
session, or all of a user.
"""

from __future__ import annotations

from typing import Literal

from event_schemas.user_ids import person

SEPARATOR = "~"
Unit = Literal["request", "session"]
LogUnit = Literal["request", "session", "user"]


def unit_of(request_id: str, unit: Unit) -> str:
    """The identifier that the coins `explore` and `control` hash, and `log` unless it has a unit of its own.

    For `session` it is the part of the id before its last `~`. An id without `~`, or with a blank or placeholder part
    before it (`user_ids`), is a unit of its own, as all ids are for `request`.
    """
    if unit == "request":
        return request_id
    prefix, found, _ = request_id.rpartition(SEPARATOR)
    return request_id if not found or person(prefix) is None else prefix


def log_unit_of(request_id: str, user_id: str | None, log_unit: LogUnit, exploration_unit: Unit) -> str:
    """The identifier that the coin `log` hashes.

    For `user` it is the user_id as it is. A request whose user_id names nobody (`user_ids`) is sampled by its
    exploration unit.
    """
    if log_unit == "user":
        return person(user_id) or unit_of(request_id, exploration_unit)
    return unit_of(request_id, log_unit)


def session_request_id(session_id: str, unique: str) -> str:
    """The id of a request in a session; `unique` tells it apart from the session's other requests.

    Raises ValueError if `unique` contains `~`: the request would belong to another session.
    """
    if SEPARATOR in unique:
        raise ValueError(f"{unique!r} contains {SEPARATOR!r}, which ends the session's part of an id")
    return f"{session_id}{SEPARATOR}{unique}"
