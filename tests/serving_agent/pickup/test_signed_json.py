"""Signed bytes survive JSON exactly, and damaged JSON is noticed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_store.records.checkpoint_record import SignedCheckpoint
from policy_store.records.governed_record import SignedRecord
from serving_agent.pickup.signed_json import (
    NOT_AS_SAVED,
    decode_checkpoint,
    decode_record,
    encode_checkpoint,
    encode_record,
    numbers,
    texts,
)


@given(st.binary(), st.binary(), st.text(st.characters(codec="utf-8")), st.dictionaries(st.text(), st.binary()))
def test_reads_back_the_very_bytes(payload: bytes, signature: bytes, key_id: str, blobs: dict[str, bytes]) -> None:
    record, checkpoint = (
        SignedRecord(payload, signature, key_id),
        SignedCheckpoint(payload, signature, key_id, blobs),
    )
    assert decode_record(json.loads(json.dumps(encode_record(record)))) == record
    assert decode_checkpoint(json.loads(json.dumps(encode_checkpoint(checkpoint)))) == checkpoint


@pytest.mark.parametrize(
    "damage", [{"record": "?"}, {"record": 5}, {"signature": "ab"}, {"key_id": 5}, {"key_id": None}, {"record": None}]
)
def test_what_is_no_record_is_noticed(damage: dict[str, Any]) -> None:
    content: dict[str, Any] = {"record": "", "signature": "", "key_id": "governance/x"}
    decode_record(content)
    with pytest.raises(NOT_AS_SAVED):
        decode_record(content | damage)
    for name in damage:
        with pytest.raises(NOT_AS_SAVED):
            decode_record({other: value for other, value in content.items() if other != name})


@pytest.mark.parametrize("wrong", [None, 5, [1], "ab", {"a": "b"}, {"a": float("inf")}])
def test_numbers_and_texts_are_such(wrong: object) -> None:
    assert numbers({"a": 5}) == {"a": 5}
    assert texts(["a", "b"]) == ("a", "b")
    for read in (numbers, texts):
        with pytest.raises(NOT_AS_SAVED):
            read(wrong)
