"""Placeholders are told of once each, people never."""

from __future__ import annotations

from typing import Any

from structlog.testing import capture_logs

from serving_agent.decide.placeholder_users import PlaceholderUsers


def test_each_placeholder_is_told_of_once_and_people_never() -> None:
    told: list[Any] = []
    users = PlaceholderUsers(lambda _, **fields: told.append(fields["user_id"]))
    for user_id in ("u1", None, "null", "None", " NULL ", "null", "u2"):
        users.note(user_id)
    assert told == ["'null'", "'None'"]


def test_it_is_a_warning() -> None:
    with capture_logs() as lines:
        PlaceholderUsers().note("undefined")
    assert [(line["log_level"], line["event"]) for line in lines] == [("warning", "user_id is a placeholder")]
