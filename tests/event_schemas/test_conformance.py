"""The conformance vectors: their shape, that they never change, and that two implementations fulfil them.

One is Trimtab's own code. The other shares nothing with it and was written from the files' rules alone, so that whoever
writes a third one finds all they need there.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conformance import other_client, present_code
from tests.conformance.propose import propose, vector_text
from tests.conformance.vector_files import (
    FOLDER,
    SHAPES,
    ArmGiven,
    Case,
    JsonGiven,
    KeyGiven,
    SliceGiven,
    cases,
    file_text,
    raw_vectors,
)

README = (FOLDER / "README.md").read_text(encoding="utf-8")
FROZEN = {
    "action_space_digests": (14, "80d1e7742a16a414"),
    "arms": (29, "2cc89c9606768a08"),
    "canonical_json": (24, "22fdedfda1bd4925"),
    "checkpoint_manifests": (5, "e1d0db4192c0befe"),
    "coins": (21, "b636cf06f90eedd4"),
    "framing": (14, "85d629d4cbf04d9d"),
    "murmur2_partitions": (20, "f10beefa19fc9e18"),
    "signatures": (14, "1a5d0c2149c4b6d2"),
    "slices": (24, "64f8701909dda59b"),
}
"""How many vectors each file began with, and the start of the SHA-256 of these: vectors are added, never changed."""
IMPLEMENTATIONS = {"trimtab": present_code.ANSWERS, "another client": other_client.ANSWERS}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
RATE = st.floats(0, 1)
ARMS = st.integers(2, 60)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=8,
)


def test_the_folder_holds_the_files_that_its_readme_names() -> None:
    files = {each.name for each in FOLDER.iterdir()}
    assert files == {"README.md", *(f"{subject}.json" for subject in SHAPES)}
    assert all(f"| `{name}` |" in README for name in files - {"README.md"})


@pytest.mark.parametrize("subject", SHAPES)
def test_a_file_has_the_shape_of_its_subject(subject: str) -> None:
    text, vectors = file_text(subject), raw_vectors(subject)
    assert text.isascii()
    assert all(vector_text(vector) in text for vector in vectors), "write vectors as tests.conformance.propose does"
    assert len({json.dumps(vector["given"]) for vector in vectors}) == len(cases(subject))


@pytest.mark.parametrize("subject", SHAPES)
def test_vectors_are_added_and_never_changed(subject: str) -> None:
    count, digest = FROZEN[subject]
    first = json.dumps(raw_vectors(subject)[:count])
    assert hashlib.sha256(first.encode()).hexdigest()[:16] == digest


@pytest.mark.parametrize("subject", SHAPES)
@pytest.mark.parametrize("name", IMPLEMENTATIONS)
def test_every_vector_is_fulfilled(name: str, subject: str) -> None:
    answer = IMPLEMENTATIONS[name][subject]
    found = {str(case): (case.why, answer(case.given)) for case in cases(subject)}
    assert found == {str(case): (case.why, case.expected) for case in cases(subject)}


@pytest.mark.parametrize("subject", SHAPES)
def test_new_vectors_are_proposed_as_the_file_writes_them(subject: str) -> None:
    known = raw_vectors(subject)
    lines = [json.dumps({"given": each["given"], "why": each["why"]}) for each in known]
    assert list(propose(subject, lines)) == [vector_text(each) for each in known]


def agree(subject: str, asked: Any) -> None:
    assert present_code.ANSWERS[subject](asked) == other_client.ANSWERS[subject](asked)


@given(TEXT, TEXT, RATE, RATE, RATE)
def test_both_draw_the_same_slices(salt: str, request_id: str, exploration: float, control: float, log: float) -> None:
    agree(
        "slices",
        SliceGiven(
            salt=salt,
            request_id=request_id,
            exploration_rate=exploration,
            control_rate=control,
            log_rate=log,
            policy_usable=True,
        ),
    )


@given(st.data(), ARMS, RATE, RATE, st.booleans())
def test_both_draw_the_same_arms(data: st.DataObject, arms: int, share: float, draw: float, grid: bool) -> None:
    production = arms - 1 if grid else data.draw(st.integers(0, arms - 1))
    eligible = data.draw(st.lists(st.integers(0, arms - 1), max_size=5))
    kind = "grid" if grid else "catalogue"
    fields = {"kind": kind, "arms": arms, "production_arm": production, "production_share": share}
    agree("arms", ArmGiven.model_validate({**fields, "eligible": eligible, "draw": draw}))


@given(st.binary(max_size=40), st.integers(1, 1000))
def test_both_find_the_same_partitions(key: bytes, count: int) -> None:
    agree("murmur2_partitions", KeyGiven(key=key.hex(), partitions=[count]))


@given(st.dictionaries(TEXT, JSON, max_size=4))
def test_both_write_the_same_json(content: dict[str, Any]) -> None:
    agree("canonical_json", JsonGiven(json_text=json.dumps(content)))


def test_every_subject_goes_beyond_ascii() -> None:
    """Where text is hashed, framed or signed, a client that is right for ASCII alone must not pass."""
    for subject in set(SHAPES) - {"arms", "murmur2_partitions"}:
        assert any("\\u" in line for line in file_text(subject).splitlines() if '"given"' in line), subject
    keys: list[Case] = cases("murmur2_partitions")
    assert any(not bytes.fromhex(case.given.key).isascii() for case in keys)
