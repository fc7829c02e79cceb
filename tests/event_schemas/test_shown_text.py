"""Any value can be shown, in a text that is short."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from event_schemas.shown_text import MOST_LISTED, cut, listed, shown


@given(st.text(), st.integers(0, 30))
def test_a_text_is_whole_or_cut(text: str, longest: int) -> None:
    found = cut(text, longest)
    assert found == text or found == f"{text[:longest]}…"
    assert len(found) <= max(longest + 1, 1)


def test_a_value_is_spelled_or_named() -> None:
    assert (shown("a\nb"), shown(None), shown("x" * 9, 5)) == (r"'a\nb'", "None", "'xxxx…")
    assert (shown(10**5000), shown([10**5000])) == ("<int>", "<list>")


@given(st.integers(0, 3 * MOST_LISTED))
def test_names_are_listed_up_to_a_bound(count: int) -> None:
    names = [f"n{number}" for number in range(count)]
    text = listed(names)
    left = max(0, count - MOST_LISTED)
    assert text == ", ".join(names[:MOST_LISTED]) + (f" and {left} more" if left else "")
