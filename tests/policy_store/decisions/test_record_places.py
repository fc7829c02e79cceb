"""Who decides, and which revision the next record has."""

from __future__ import annotations

import pytest

from policy_store.backends.memory_store import MemoryStore
from policy_store.decisions.record_places import Statement, next_place, provenance, revision_of
from policy_store.records.preference_record import PreferenceTarget
from policy_store.records.store_errors import ClocksDisagree, RecordMalformed
from tests.policy_store.store_samples import NOW, people, set_preference


def test_the_next_place_is_above_everything_known() -> None:
    store = MemoryStore("homefeed", clock=lambda: NOW)
    assert next_place(store, "preference", people(NOW)).revision == NOW + 1
    held = set_preference(store, PreferenceTarget.of(alpha=0.5), people(NOW))
    assert revision_of(store.preference()) == held.revision == NOW + 1
    store.heartbeat("n1", {"revisions": {"preference": NOW + 20}}, 60)
    place = next_place(store, "preference", people(NOW))
    assert (place.revision, place.time_ms) == (NOW + 21, NOW)
    assert revision_of(None) is None


def test_a_wrong_clock_gets_no_place() -> None:
    store = MemoryStore("homefeed", clock=lambda: NOW)
    with pytest.raises(ClocksDisagree):
        next_place(store, "preference", people(NOW + 2 * 3_600_000))


def test_every_record_says_who_decided_over_what() -> None:
    store = MemoryStore("homefeed", clock=lambda: NOW)
    place = next_place(store, "preference", people(NOW))
    assert provenance(store, 5, place, people(NOW)) == {
        "experiment": "homefeed",
        "revision": NOW + 1,
        "parent_revision": 5,
        "by": "ada",
        "reason": "looks good",
    }


@pytest.mark.parametrize("by", ["", " ", "x" * 201])
def test_a_statement_needs_a_name(by: str) -> None:
    with pytest.raises(RecordMalformed, match="a name"):
        Statement(by=by, reason="", now_ms=NOW)
