"""The ids of requests that come without one."""

import hashlib
import re
from collections.abc import Callable

from event_schemas.event_bounds import request_id_fault
from event_schemas.exploration_units import SEPARATOR, Unit, session_request_id
from event_schemas.user_ids import person

OF_A_PATH = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@/-]*")
"""What the path of a URL may have without escaping (RFC 3986): callers put the id into one to confirm the decision."""


class RequestIds:
    """Makes an id for each request; `new_id` gives texts that never recur, in which `-` stands in for `~`.

    With the unit `session` the id begins with the session's id, so that the coins that are drawn for sessions are the
    same for all its requests.
    A session id that cannot be part of a request id, because it is too long or has characters that URLs escape, is
    represented by its SHA-256 in hex: its requests stay together. Without a session, and for a placeholder such as
    `null`, a request is a unit of its own.
    """

    def __init__(self, unit: Unit, new_id: Callable[[], str]) -> None:
        self._by_session = unit == "session"
        self._new_id = new_id

    def make(self, session_id: str | None) -> str:
        """The id of a request in this session; a session id that is not UTF-8 text is left to be refused later."""
        unique = self._new_id().replace(SEPARATOR, "-")
        if not self._by_session or not isinstance(session_id, str) or person(session_id) is None:
            return unique
        together = session_request_id(session_id, unique)
        if OF_A_PATH.fullmatch(session_id) and request_id_fault(together) is None:
            return together
        try:
            return session_request_id(hashlib.sha256(session_id.encode()).hexdigest(), unique)
        except UnicodeEncodeError:
            return unique
