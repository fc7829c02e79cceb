"""Kills and resumes as records."""

from __future__ import annotations

import json

import pytest

from policy_store.control_record import CONTROL_SLOT, ControlRecord, ControlRecords
from policy_store.store_errors import RecordMalformed

CONTENT = {"experiment": "homefeed", "revision": 7, "by": "ada"}
NAMES = ["ab" * 32, "cd" * 32]
KILL_OF_0_1_0 = (
    b'{"by":"ada","experiment":"homefeed","killed":true,"kind":"control","parent_revision":null,"reason":"",'
    b'"revision":7}'
)


def test_the_control_record_says_killed_or_not() -> None:
    for killed in (True, False):
        record = ControlRecord(experiment="homefeed", revision=1, by="ada", killed=killed)
        assert record.slot == CONTROL_SLOT == "control"
        assert ControlRecord.parse(record.canonical()) == record


@pytest.mark.parametrize("killed", [True, False])
def test_a_record_that_names_nothing_has_the_bytes_of_version_0_1_0(killed: bool) -> None:
    """Nodes of that version refuse unknown fields, and must obey a kill."""
    payload = KILL_OF_0_1_0 if killed else KILL_OF_0_1_0.replace(b"true", b"false")
    assert ControlRecord.from_content(CONTENT | {"killed": killed}).canonical() == payload
    assert ControlRecord.parse(payload).canonical() == payload


@pytest.mark.parametrize(("parent", "killed"), [(7, True), (7, False), (6, True), (None, True)])
def test_a_kill_that_must_be_named_has_its_own_revision_for_parent(parent: int | None, killed: bool) -> None:
    record = ControlRecord.from_content(CONTENT | {"killed": killed, "parent_revision": parent})
    assert record.must_be_named is (killed and parent == 7)


def test_a_resume_names_what_it_lifts_in_order() -> None:
    record = ControlRecord.from_content(CONTENT | {"killed": False, "resumes": NAMES})
    assert record.resumes == tuple(NAMES)
    assert json.loads(record.canonical())["resumes"] == NAMES
    assert record.model_dump(mode="json")["resumes"] == NAMES
    assert ControlRecord.parse(record.canonical()) == record


@pytest.mark.parametrize(
    "change",
    [
        {"killed": True, "resumes": NAMES},
        {"killed": False, "resumes": []},
        {"killed": False, "resumes": ["AB" * 32]},
        {"killed": False, "resumes": ["ab"]},
        {"killed": False, "resumes": "ab" * 32},
        {"killed": False, "resumes": None},
    ],
)
def test_a_resume_that_names_no_hash_and_a_kill_that_names_one_are_malformed(change: dict[str, object]) -> None:
    with pytest.raises(RecordMalformed, match="ControlRecord"):
        ControlRecord.from_content(CONTENT | change)


def test_a_store_without_kills_holds_nothing() -> None:
    empty = ControlRecords()
    assert (empty.slot, dict(empty.kills), dict(empty.resumes), empty.history, empty.faults) == (None, {}, {}, (), ())
