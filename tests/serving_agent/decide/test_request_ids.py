"""Ids of requests that come without one: unique, sound, and in the session's unit where there is a session."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_schemas.event_bounds import LONGEST_ID, request_id_fault
from event_schemas.exploration_units import Unit, unit_of
from event_schemas.user_ids import person
from serving_agent.decide.request_ids import RequestIds


def ids(unit: Unit = "session") -> RequestIds:
    numbers = count()
    return RequestIds(unit, lambda: f"{next(numbers):032x}")


def test_requests_of_a_session_share_its_unit() -> None:
    made = ids()
    first, second = made.make("s-1"), made.make("s-1")
    assert (first, second) == (f"s-1~{0:032x}", f"s-1~{1:032x}")
    assert unit_of(first, "session") == unit_of(second, "session") == "s-1"


@pytest.mark.parametrize("session", [None, "", "  ", "null", "None", "0", "undefined", "\ud800", 7])
def test_without_a_session_a_request_is_its_own_unit(session: str | None) -> None:
    made = ids()
    assert [made.make(session), made.make(session)] == [f"{0:032x}", f"{1:032x}"]


def test_the_unit_request_leaves_sessions_alone() -> None:
    assert ids("request").make("s-1") == f"{0:032x}"


@pytest.mark.parametrize(
    "session", ["x" * (LONGEST_ID - 32), "line\nbreak", "../up", "a/./b", "a b", "a?b", "a#b", "a%20b", "é"]
)
def test_a_session_that_fits_into_no_id_is_kept_together_by_its_hash(session: str) -> None:
    made = ids()
    units = {unit_of(made.make(session), "session") for _ in range(3)}
    assert len(units) == 1 and len(units.pop()) == 64


def test_the_longest_session_that_fits_is_kept_as_it_is() -> None:
    session = "x" * (LONGEST_ID - 33)
    assert unit_of(ids().make(session), "session") == session


@given(session=st.text(st.characters(codec="utf-8"), max_size=300))
def test_every_id_can_be_logged_and_names_its_session(session: str) -> None:
    made = ids()
    first, second = made.make(session), made.make(session)
    assert request_id_fault(first) is None and first != second
    assert (unit_of(first, "session") == unit_of(second, "session")) == (person(session) is not None)
