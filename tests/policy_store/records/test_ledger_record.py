"""Entries of the ledger."""

from __future__ import annotations

from typing import Any

import pytest

from policy_store.records.ledger_record import LEDGER_SLOT, LedgerRecord
from policy_store.records.store_errors import RecordMalformed

CONTROL: dict[str, Any] = {
    "name": "control",
    "share": 0.5,
    "users": 100,
    "rows": 900,
    "means": [0.1, None],
    "deltas": [0.0, None],
    "covariance": [[0.0, None], [None, None]],
}
BOLD = CONTROL | {"name": "bold", "deltas": [0.02, None], "covariance": [[1e-5, None], [None, None]], "version": "v1"}
ENTRY: dict[str, Any] = {
    "experiment": "homefeed",
    "revision": 7,
    "by": "ada",
    "id": "x1",
    "control": "control",
    "start": 1_000,
    "end": 2_000,
    "outcomes": [{"name": "repin", "role": "optimise"}, {"name": "visits", "role": "guardrail", "per": "user-day"}],
    "arms": [CONTROL, BOLD],
    "verdict": "adopted",
    "winner": "bold",
}


def test_an_entry_comes_back_and_has_its_slot() -> None:
    entry = LedgerRecord.from_content(ENTRY)
    assert entry.slot == LEDGER_SLOT == "ledger"
    assert LedgerRecord.parse(entry.canonical()) == entry
    assert entry.previous is None
    assert entry.arms[1].deltas == (0.02, None)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"arms": [CONTROL]}, "arms"),
        ({"control": "nobody"}, "nobody"),
        ({"winner": None}, "winner"),
        ({"winner": "nobody"}, "winner"),
        ({"verdict": "rejected"}, "winner"),
        ({"verdict": "perhaps"}, "verdict"),
        ({"end": 999}, "end"),
        ({"arms": [CONTROL, BOLD | {"means": [0.1]}]}, "bold"),
        ({"arms": [CONTROL, BOLD | {"covariance": [[0.0, None]]}]}, "bold"),
        ({"arms": [CONTROL, BOLD | {"users": -1}]}, "users"),
        ({"sample_ratio_p": 1.5}, "sample_ratio_p"),
        ({"previous": "ab"}, "previous"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, Any], named: str) -> None:
    with pytest.raises(RecordMalformed, match=named):
        LedgerRecord.from_content(ENTRY | change)
