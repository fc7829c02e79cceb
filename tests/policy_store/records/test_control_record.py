"""Kills and resumes as records."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_store.records.control_record import CONTROL_SLOT, MAX_ODD_KILL, ControlRecord, ControlRecords
from policy_store.records.store_errors import RecordMalformed

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


ODD = st.fixed_dictionaries(
    {},
    optional={
        "resumes": st.just([]) | st.just(NAMES) | st.none(),
        "reason": st.just("x" * 5_000) | st.integers() | st.text(st.characters(), min_size=1),
        "by": st.just("x" * 300) | st.just("") | st.none() | st.text(st.characters()),
        "revision": st.sampled_from([0, -5, 2**53, 2**80, True, "7", None, 7.5, float("nan"), 10**4_000]),
        "parent_revision": st.sampled_from([0, "x", 5]),
        "another field": st.none() | st.lists(st.integers()),
    },
)


@given(ODD, st.booleans(), st.booleans())
def test_a_kill_is_one_whatever_else_it_says(odd: dict[str, Any], indented: bool, doubled: bool) -> None:
    """An independent client may sign such a kill in a hurry; the bytes, and so the hash, stay as signed."""
    payload = json.dumps(CONTENT | {"kind": "control", "killed": True} | odd, indent=2 if indented else None)
    if doubled:
        payload = payload.replace("{", '{"note": 1, "note": 2, ', 1)
    record = ControlRecord.parse(payload.encode())
    assert record.killed
    assert record.resumes == ()
    assert ControlRecord.parse(record.canonical()) == record
    assert (record.by + record.reason).encode() is not None, "it can be shown"


@pytest.mark.parametrize(
    "change",
    [
        *({"killed": each} for each in (False, None, 1, "true", [True])),
        *({"kind": each} for each in ("preference", None, "kill")),
        *({"experiment": each} for each in (None, "no name!", 5)),
        {"reason": "x" * MAX_ODD_KILL},
    ],
)
def test_what_does_not_say_that_it_kills_this_experiment_is_no_kill(change: dict[str, Any]) -> None:
    content = CONTENT | {"kind": "control", "killed": True, "resumes": []}
    assert ControlRecord.parse(json.dumps(content).encode()).killed
    with pytest.raises(RecordMalformed):
        ControlRecord.parse(json.dumps(content | change).encode())


@pytest.mark.parametrize(
    "payload", [b"?", b"\xff", b"[" * 5_000, b"[true]", b'{"killed":true,"killed":false,"kind":"control"}']
)
def test_what_says_nothing_clear_is_no_kill(payload: bytes) -> None:
    with pytest.raises(RecordMalformed):
        ControlRecord.parse(payload)


def test_only_a_resume_with_its_hash_lifts_an_odd_kill() -> None:
    odd = CONTENT | {"kind": "control", "killed": True, "resumes": [], "parent_revision": 5}
    assert ControlRecord.parse(json.dumps(odd).encode()).must_be_named


def test_a_store_without_kills_holds_nothing() -> None:
    empty = ControlRecords()
    assert (empty.slot, dict(empty.kills), dict(empty.resumes), empty.history, empty.faults) == (None, {}, {}, (), ())
