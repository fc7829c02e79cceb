"""Records: revisions that only grow, strict parsing, bytes that are what was signed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from policy_store.control_record import ControlRecord
from policy_store.governed_record import (
    GovernedRecord,
    decode_signature,
    encode_signature,
    first_problem,
    next_revision,
)
from policy_store.store_errors import RecordMalformed, SignatureInvalid
from tests.policy_store.store_samples import NOW, PEOPLE, TRUSTED

CONTENT = {"experiment": "homefeed", "revision": 7, "by": "ada", "killed": True}


@given(st.none() | st.integers(1, 2**52), st.integers(1, 2**52))
def test_a_revision_is_above_its_parent_and_not_before_its_time(parent: int | None, now_ms: int) -> None:
    revision = next_revision(parent, now_ms)
    assert revision > (parent or 0)
    assert revision >= now_ms
    assert revision in ((parent or 0) + 1, now_ms)


def test_a_lagging_clock_does_not_hold_the_revision_back() -> None:
    assert next_revision(NOW, NOW - 60_000) == NOW + 1


def test_the_signature_is_over_the_stored_bytes() -> None:
    record = ControlRecord.from_content(dict(CONTENT))
    signed = record.signed_by(PEOPLE)
    TRUSTED.verify(signed.key_id, signed.record, signed.signature, "it")
    assert ControlRecord.parse(signed.record) == record
    assert signed.record == (
        b'{"by":"ada","experiment":"homefeed","killed":true,"kind":"control","parent_revision":null,'
        b'"reason":"","revision":7}'
    )


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"killed": "yes"}, "killed"),
        ({"killed": 1}, "killed"),
        ({"revision": 0}, "revision"),
        ({"revision": 2**53}, "revision"),
        ({"revision": 1.5}, "revision"),
        ({"experiment": "a b"}, "experiment"),
        ({"by": ""}, "by"),
        ({"reason": "x" * 2001}, "reason"),
        ({"kind": "channel"}, "kind"),
        ({"only_for": "CORE"}, "only_for"),
    ],
)
def test_a_wrong_or_unknown_field_is_named(change: dict[str, object], field: str) -> None:
    with pytest.raises(RecordMalformed, match=f"ControlRecord: {field}"):
        ControlRecord.from_content(CONTENT | change)


def test_a_missing_field_is_named() -> None:
    with pytest.raises(RecordMalformed, match="killed"):
        ControlRecord.parse(b'{"experiment":"homefeed","revision":7,"by":"ada"}')


def test_first_problem_names_field_and_value() -> None:
    with pytest.raises(ValidationError) as caught:
        ControlRecord.model_validate(CONTENT | {"by": 5})
    assert first_problem(caught.value).startswith("by: ")
    assert "'5'" in first_problem(caught.value)


def test_the_base_record_has_no_slot() -> None:
    with pytest.raises(TypeError, match="slot"):
        GovernedRecord.from_content({"experiment": "homefeed", "revision": 1, "by": "ada"})


def test_signatures_are_base64() -> None:
    assert decode_signature(encode_signature(b"\x00\xff"), "it") == b"\x00\xff"
    with pytest.raises(SignatureInvalid, match="the thing"):
        decode_signature("no!", "the thing")
    with pytest.raises(SignatureInvalid, match="the thing"):
        decode_signature("ä", "the thing")
