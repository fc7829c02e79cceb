"""A re-base as a record."""

from __future__ import annotations

import pytest

from policy_store.records.channel_record import Channel
from policy_store.records.rebase_record import DECIDED_SLOTS, ORDERED_SLOTS, REBASE_SLOT, RebaseRecord, SlotRemoval
from policy_store.records.store_errors import RecordMalformed

CONTENT = {"experiment": "homefeed", "revision": 7, "by": "ada", "epoch": 1, "voids": ["ab" * 32]}


def test_a_rebase_survives_its_bytes() -> None:
    record = RebaseRecord.from_content(dict(CONTENT))
    assert (record.slot, record.epoch, record.voids) == (REBASE_SLOT, 1, ("ab" * 32,))
    assert RebaseRecord.parse(record.canonical()) == record
    assert RebaseRecord.from_content({**CONTENT, "voids": []}).voids == ()


@pytest.mark.parametrize(
    "change", [{"epoch": 0}, {"epoch": 2**53}, {"voids": ["x"]}, {"voids": None}, {"kind": "control"}]
)
def test_a_wrong_field_is_named(change: dict[str, object]) -> None:
    with pytest.raises(RecordMalformed, match=f"RebaseRecord: {next(iter(change))}"):
        RebaseRecord.from_content(CONTENT | change)


def test_every_slot_ordered_by_revisions_is_rebased_and_kills_are_not() -> None:
    decided = {f"channel:{channel.value}" for channel in Channel} | {"preference", "experiments"}
    assert set(DECIDED_SLOTS) == decided
    assert set(ORDERED_SLOTS) == decided | {f"freshness:{channel.value}" for channel in Channel} | {"ledger", "account"}


def test_a_removal_says_what_was_there_and_what_stays() -> None:
    removal = SlotRemoval("preference", b"{}", None, ())
    assert (removal.slot, removal.found, removal.left, removal.voided) == ("preference", b"{}", None, ())
