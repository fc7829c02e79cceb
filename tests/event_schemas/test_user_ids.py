"""Placeholders name nobody, however they are written; every other id names one person."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_schemas.user_ids import PLACEHOLDERS, person, present

written = st.tuples(st.sampled_from(["", " ", "\t"]), st.sampled_from([str.upper, str.title, str.lower]))


@given(st.sampled_from(sorted(PLACEHOLDERS)), written, written)
def test_placeholders_name_nobody(placeholder: str, before: tuple[str, object], after: tuple[str, object]) -> None:
    change = before[1]
    assert callable(change)
    assert person(f"{before[0]}{change(placeholder)}{after[0]}") is None


@given(st.text().filter(lambda text: text.strip() and text.strip().lower() not in PLACEHOLDERS))
def test_every_other_id_names_one_person(user_id: str) -> None:
    assert person(user_id) == present(user_id) == user_id


@pytest.mark.parametrize("blank", [None, "", " ", "\n\t"])
def test_blanks_are_absent(blank: str | None) -> None:
    assert present(blank) is person(blank) is None


def test_a_placeholder_is_present_though_it_names_nobody() -> None:
    assert (present("null"), person("null")) == ("null", None)
