"""Records: strict parsing, bytes that are what was signed."""

from __future__ import annotations

import hashlib

import pytest
from pydantic import ValidationError

from policy_store.records.control_record import ControlRecord
from policy_store.records.governed_record import (
    GovernedRecord,
    SignedRecord,
    decode_signature,
    encode_signature,
    field_problems,
)
from policy_store.records.store_errors import RecordMalformed, SignatureInvalid
from tests.policy_store.store_samples import PEOPLE, TRUSTED

CONTENT = {"experiment": "homefeed", "revision": 7, "by": "ada", "killed": True}


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


def test_field_problems_names_field_and_value() -> None:
    with pytest.raises(ValidationError) as caught:
        ControlRecord.model_validate(CONTENT | {"by": 5})
    assert field_problems(caught.value) == "by = 5: Input should be a valid string"


def test_the_base_record_has_no_slot() -> None:
    with pytest.raises(TypeError, match="slot"):
        GovernedRecord.from_content({"experiment": "homefeed", "revision": 1, "by": "ada"})


def test_signatures_are_base64() -> None:
    assert decode_signature(encode_signature(b"\x00\xff"), "it") == b"\x00\xff"
    with pytest.raises(SignatureInvalid, match="the thing"):
        decode_signature("no!", "the thing")
    with pytest.raises(SignatureInvalid, match="the thing"):
        decode_signature("ä", "the thing")


def test_a_signed_record_has_a_hash_and_travels_as_an_item() -> None:
    signed = ControlRecord.from_content(dict(CONTENT)).signed_by(PEOPLE)
    assert signed.hash == hashlib.sha256(signed.record).hexdigest()
    assert SignedRecord.from_item(signed.as_item(), "it") == signed


@pytest.mark.parametrize(
    "change", [{"record": 5}, {"signature": None}, {"key_id": ["x"]}, {"record": "\ud800"}, {"signature": "no!"}]
)
def test_an_item_that_is_no_signed_record_is_named(change: dict[str, object]) -> None:
    item = ControlRecord.from_content(dict(CONTENT)).signed_by(PEOPLE).as_item()
    with pytest.raises((RecordMalformed, SignatureInvalid), match="the item"):
        SignedRecord.from_item(item | change, "the item")
