"""The record of the gate's account."""

from __future__ import annotations

from typing import Any

import pytest

from policy_store.records.account_record import ACCOUNT_SLOT, AccountRecord
from policy_store.records.store_errors import RecordMalformed

CONTENT: dict[str, Any] = {
    "experiment": "homefeed",
    "revision": 7,
    "by": "learner",
    "run": 3,
    "version": "v3",
    "manifest": "ab" * 32,
    "budget": {"spent": 0.025},
}


def test_the_record_has_the_documented_content_and_slot() -> None:
    made = AccountRecord.from_content(CONTENT | {"parent": "v2"})
    assert made.slot == ACCOUNT_SLOT == "account"
    assert made.canonical() == (
        b'{"budget":{"spent":0.025},"by":"learner","experiment":"homefeed","kind":"account","manifest":"'
        + b"ab" * 32
        + b'","parent":"v2","parent_revision":null,"reason":"","revision":7,"run":3,"version":"v3"}'
    )
    assert AccountRecord.parse(made.canonical()) == made
    assert AccountRecord.from_content(CONTENT).parent is None


@pytest.mark.parametrize("damage", [{"run": 0}, {"version": "a b"}, {"manifest": "ab"}, {"budget": 3}, {"spent": 1}])
def test_a_malformed_record_is_refused_by_name(damage: dict[str, Any]) -> None:
    with pytest.raises(RecordMalformed, match=next(iter(damage))):
        AccountRecord.from_content(CONTENT | damage)
