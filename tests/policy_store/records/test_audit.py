"""The audit's chain, and which changes it detects."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_store.records.audit import GENESIS, AuditEntry, AuditEvent, chain, verify_chain
from policy_store.records.store_errors import AuditBroken


def chained(length: int) -> list[AuditEntry]:
    entries: list[AuditEntry] = []
    for number in range(length):
        event = AuditEvent(1_000 + number, "ada", "publish", {"number": number})
        entries.append(chain(event, entries[-1] if entries else None))
    return entries


def test_an_entry_says_who_did_what_and_follows_the_one_before() -> None:
    first, second = chained(2)
    assert first.content == {
        "at": 1000,
        "actor": "ada",
        "action": "publish",
        "detail": {"number": 0},
        "sequence": 1,
        "previous": GENESIS,
    }
    assert second.content["previous"] == first.hash == hashlib.sha256(first.entry).hexdigest()


def test_an_unbroken_chain_ends_in_its_last_hash() -> None:
    entries = chained(5)
    assert verify_chain(entries) == entries[-1].hash
    assert verify_chain([]) == GENESIS


@given(st.integers(2, 6), st.data())
def test_removing_swapping_or_repeating_an_entry_is_noticed(length: int, data: st.DataObject) -> None:
    entries = chained(length)
    place = data.draw(st.integers(0, length - 2))
    removed = entries[:place] + entries[place + 1 :]
    repeated = entries[: place + 1] + entries[place:]
    swapped = [*entries[:place], entries[place + 1], entries[place], *entries[place + 2 :]]
    for wrong in (removed, repeated, swapped):
        with pytest.raises(AuditBroken, match=f"entry {place + 1}|entry {place + 2}"):
            verify_chain(wrong)


def test_a_changed_entry_is_noticed_even_with_a_hash_of_its_own() -> None:
    entries = chained(3)
    changed = entries[1].entry.replace(b'"ada"', b'"eve"')
    with pytest.raises(AuditBroken, match="entry 2: its content"):
        verify_chain([entries[0], AuditEntry(changed, entries[1].hash), entries[2]])
    with pytest.raises(AuditBroken, match="entry 3"):
        verify_chain([entries[0], AuditEntry(changed, hashlib.sha256(changed).hexdigest()), entries[2]])


def test_an_entry_that_is_no_json_is_malformed() -> None:
    with pytest.raises(AuditBroken, match="audit entry 1: it is not a JSON object"):
        verify_chain([AuditEntry(b"?", "0")])


@pytest.mark.parametrize("garbage", [b"", b"?", b"[]", b"{}", b'{"sequence":"x"}'])
def test_garbage_does_not_stop_the_chain_but_breaks_it(garbage: bytes) -> None:
    entry = chain(AuditEvent(5, "ada", "kill", {}), AuditEntry(garbage, "f" * 64))
    assert entry.content["previous"] == "f" * 64
    with pytest.raises(AuditBroken, match="entry 1"):
        verify_chain([AuditEntry(garbage, "f" * 64), entry])
