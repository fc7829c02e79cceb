"""Broken JSON is described in words, by characters and never by lines and columns of the decoder's own text."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_schemas.json_fault import json_fault


def said(text: str | bytes) -> str:
    with pytest.raises((ValueError, RecursionError)) as caught:
        json.loads(text)
    return json_fault(caught.value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": 1,}', "illegal trailing comma before end of object at character 8"),
        ("nope", "expecting value at character 1"),
        ('{"a": 1} {', "extra data at character 10"),
        ("", "it ends after 0 characters, before the JSON is complete"),
        ("[", "it ends after 1 character, before the JSON is complete"),
        (b'{"a": "\xff"}', "byte 8 is not UTF-8"),
        ("[" * 100_000, "it is nested too deeply"),
        ("9" * 5_000, "a number in it has too many digits"),
    ],
)
def test_what_is_wrong_is_in_words(text: str | bytes, words: str) -> None:
    alternatives = {words, words.replace("illegal trailing comma before end of object at character 8", OLDER)}
    assert said(text) in alternatives


OLDER = "expecting property name enclosed in double quotes at character 9"
"""Python before 3.13."""
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), DOCUMENTS, min_size=1), st.data())
def test_any_object_that_was_cut_is_one_short_line(document: dict[str, object], data: st.DataObject) -> None:
    whole = json.dumps(document, indent=1)
    words = said(whole[: data.draw(st.integers(0, len(whole) - 1))])
    assert "\n" not in words
    assert "column" not in words
    assert len(words) < 100
