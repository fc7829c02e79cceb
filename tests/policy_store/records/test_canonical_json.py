"""Canonical bytes, and JSON that two readers could read differently."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_store.records.canonical_json import canonical_json, parse_object
from policy_store.records.store_errors import RecordMalformed
from tests.conformance.present_code import answer_json
from tests.conformance.vector_files import Case, cases

CONTENT = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@pytest.mark.parametrize("case", cases("canonical_json"), ids=str)
def test_canonical_bytes_are_those_of_the_contract(case: Case) -> None:
    assert answer_json(case.given) == case.expected, case.why


@given(st.dictionaries(st.text(), CONTENT, max_size=4))
def test_content_survives_and_bytes_do_not_depend_on_order(content: dict[str, object]) -> None:
    try:
        payload = canonical_json(content)
    except RecordMalformed:
        assert any(0xD800 <= ord(letter) <= 0xDFFF for letter in json.dumps(content, ensure_ascii=False))
        return
    assert parse_object(payload, "it") == content
    assert canonical_json(dict(reversed(content.items()))) == payload


@pytest.mark.parametrize("value", [float("nan"), float("inf"), b"bytes", {1, 2}, "\ud800"])
def test_what_json_cannot_say_is_refused(value: object) -> None:
    with pytest.raises(RecordMalformed, match="canonical"):
        canonical_json({"value": value})


@pytest.mark.parametrize(
    "payload",
    [b"", b"{", b"[1]", b"null", b"\xff", b'{"a":1,"a":2}', b'{"a":{"b":1,"b":1}}', b'{"a":NaN}', b"[" * 9999],
)
def test_what_is_no_single_object_is_refused(payload: bytes) -> None:
    with pytest.raises(RecordMalformed, match="the thing"):
        parse_object(payload, "the thing")


def test_endless_nesting_is_malformed() -> None:
    content: list[object] = []
    for _ in range(100_000):
        content = [content]
    with pytest.raises(RecordMalformed, match="canonical JSON"):
        canonical_json(content)
