"""Which part of a request's id names its exploration unit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_schemas.exploration_units import LogUnit, Unit, log_unit_of, session_request_id, unit_of
from event_schemas.user_ids import PLACEHOLDERS, person
from tests.conformance.present_draws import answer_log_unit, answer_unit
from tests.conformance.vector_files import Case, cases

TEXT = st.text(st.characters(exclude_categories=["Cs"]) | st.just("~"), max_size=12)
UNIQUE = TEXT.map(lambda text: text.replace("~", ""))


@pytest.mark.parametrize("case", cases("exploration_units"), ids=str)
def test_units_are_those_of_the_contract(case: Case) -> None:
    assert answer_unit(case.given) == case.expected, case.why


@pytest.mark.parametrize("case", cases("log_units"), ids=str)
def test_log_units_are_those_of_the_contract(case: Case) -> None:
    assert answer_log_unit(case.given) == case.expected, case.why


@pytest.mark.parametrize("unit", ["request", "session"])
@given(TEXT, st.none() | TEXT)
def test_the_log_has_the_unit_of_exploration_or_the_user(unit: Unit, request_id: str, user_id: str | None) -> None:
    units: tuple[LogUnit, ...] = ("request", "session")
    for log_unit in units:
        assert log_unit_of(request_id, user_id, log_unit, unit) == unit_of(request_id, log_unit)  # type: ignore[arg-type]
    expected = unit_of(request_id, unit) if person(user_id) is None else user_id
    assert log_unit_of(request_id, user_id, "user", unit) == expected


@given(TEXT)
def test_a_request_is_a_unit_of_its_own(request_id: str) -> None:
    assert unit_of(request_id, "request") == request_id


@pytest.mark.parametrize(
    ("request_id", "unit"),
    [
        ("s-17~4f9c", "s-17"),
        ("s~17~4f9c", "s~17"),
        ("s-17~", "s-17"),
        ("s~~x", "s~"),
        ("00~x", "00"),
        ("4f9c", "4f9c"),
        ("", ""),
        ("~4f9c", "~4f9c"),
        ("~", "~"),
        ("  ~4f9c", "  ~4f9c"),
    ],
)
def test_a_session_is_what_comes_before_the_last_tilde(request_id: str, unit: str) -> None:
    assert unit_of(request_id, "session") == unit


@pytest.mark.parametrize("placeholder", sorted(PLACEHOLDERS))
def test_a_placeholder_is_no_session(placeholder: str) -> None:
    for session in (placeholder, placeholder.upper(), f" {placeholder}\t"):
        assert unit_of(f"{session}~4f9c", "session") == f"{session}~4f9c"


@given(TEXT, UNIQUE)
def test_an_id_that_was_built_for_a_session_belongs_to_it(session: str, unique: str) -> None:
    request_id = session_request_id(session, unique)
    assert unit_of(request_id, "session") == (request_id if person(session) is None else session)


def test_what_tells_requests_apart_has_no_tilde() -> None:
    with pytest.raises(ValueError, match="'a~b' contains '~'"):
        session_request_id("s-17", "a~b")
