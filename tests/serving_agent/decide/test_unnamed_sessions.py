"""A request whose id leaves out its session is told of once; all others never."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from serving_agent.decide.unnamed_sessions import UnnamedSessions


def test_an_id_without_its_session_is_told_of_once() -> None:
    told: list[Any] = []
    sessions = UnnamedSessions(lambda _, **fields: told.append((fields["request_id"], fields["session_id"])))
    for request_id in ("r1", "r2", "null~r3"):
        sessions.note(request_id, "s")
    assert told == [("'r1'", "'s'")]


@pytest.mark.parametrize(("request_id", "session_id"), [("s~1", "s"), ("hash-of-s~1", "s"), ("r", None), ("r", "null")])
def test_ids_with_a_session_and_requests_without_one_are_fine(request_id: str, session_id: str | None) -> None:
    told: list[Any] = []
    UnnamedSessions(lambda what, **_: told.append(what)).note(request_id, session_id)
    assert told == []


def test_it_is_a_warning() -> None:
    with capture_logs() as lines:
        UnnamedSessions().note("r", "s")
    [line] = lines
    assert (line["log_level"], line["event"]) == ("warning", "a request_id does not name its session")
