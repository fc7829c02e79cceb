"""The conformance vectors: their shape, that they never change, and that two implementations fulfil them.

One is Trimtab's own code. The other shares nothing with it and was written from the files' rules alone, so that whoever
writes a third one finds all they need there.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from event_schemas.user_ids import PLACEHOLDERS
from tests.conformance import other_client, present_code
from tests.conformance.draw_vectors import (
    ExperimentGiven,
    ExploredGiven,
    LogUnitGiven,
    NormalGiven,
    PolicyArmGiven,
    PolicyVectorGiven,
    UnitGiven,
    same,
)
from tests.conformance.propose import propose, vector_text
from tests.conformance.vector_files import (
    FOLDER,
    SHAPES,
    ArmGiven,
    Case,
    JsonGiven,
    KeyGiven,
    SliceGiven,
    WeightSpace,
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
    "exploration_settings": (7, "c76199ebe04be26b"),
    "exploration_units": (23, "7cdf4b429f33c513"),
    "explored_vectors": (13, "18dc994a6a6a4782"),
    "framing": (14, "85d629d4cbf04d9d"),
    "lifting": (8, "1d830a64ee97d653"),
    "log_units": (21, "9b9ee204bd67e5ea"),
    "murmur2_partitions": (20, "f10beefa19fc9e18"),
    "policy_arms": (12, "d5e300277b5d122b"),
    "policy_vectors": (5, "686e3600087221aa"),
    "signatures": (14, "1a5d0c2149c4b6d2"),
    "slices": (24, "64f8701909dda59b"),
    "truncated_normals": (23, "a258001fec121269"),
}
"""How many vectors each file began with, and the start of the SHA-256 of these: vectors are added, never changed."""
FROZEN_LATER = {
    "action_space_digests": (24, "c0b711043c38b2c8"),
    "arms": (39, "c49686056aa63271"),
    "coins": (27, "b5287417c855710d"),
    "framing": (23, "b00aae03fd628f7c"),
    "slices": (35, "d1246976fe5974a1"),
}
"""The same for files to which vectors of boxes, groups, sessions and version 2 were added."""
FROZEN_WITH_EXPERIMENTS = {"experiment_arms": (20, "d5c235dcd7a852fb"), "signatures": (16, "0027ed8a3d6822c8")}
FROZEN_WITH_LOG_UNITS = {"exploration_settings": (10, "626c388bd3958f4e"), "slices": (46, "1617a6fa58c25244")}
"""The same for files to which vectors of log units were added."""
APPROXIMATE = {"explored_vectors", "policy_vectors", "truncated_normals"}
"""Their numbers hang on the last digits of erfc, which libraries do not share."""
IMPLEMENTATIONS = {"trimtab": present_code.ANSWERS, "another client": other_client.ANSWERS}
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
RATE = st.floats(0, 1)
ARMS = st.integers(2, 60)
FEW = settings(max_examples=25)
UNITS = st.sampled_from(["request", "session"])
LOG_UNITS = st.sampled_from(["request", "session", "user"])
USERS = st.none() | TEXT | st.sampled_from(sorted(PLACEHOLDERS))
SESSION_IDS = st.builds("~".join, st.lists(TEXT | st.sampled_from(sorted(PLACEHOLDERS)), min_size=1, max_size=3))
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


@pytest.mark.parametrize(
    ("subject", "count", "digest"),
    [
        (subject, *frozen)
        for each in (FROZEN, FROZEN_LATER, FROZEN_WITH_LOG_UNITS, FROZEN_WITH_EXPERIMENTS)
        for subject, frozen in each.items()
    ],
)
def test_vectors_are_added_and_never_changed(subject: str, count: int, digest: str) -> None:
    first = json.dumps(raw_vectors(subject)[:count])
    assert hashlib.sha256(first.encode()).hexdigest()[:16] == digest


@pytest.mark.parametrize("subject", SHAPES)
@pytest.mark.parametrize("name", IMPLEMENTATIONS)
def test_every_vector_is_fulfilled(name: str, subject: str) -> None:
    answer = IMPLEMENTATIONS[name][subject]
    found = [(case, answer(case.given)) for case in cases(subject)]
    assert [(str(case), case.why, each) for case, each in found if not same(case.given, case.expected, each)] == []


@pytest.mark.parametrize("subject", SHAPES)
def test_new_vectors_are_proposed_as_the_file_writes_them(subject: str) -> None:
    known = raw_vectors(subject)
    lines = [json.dumps({"given": each["given"], "why": each["why"]}) for each in known]
    proposed = list(propose(subject, lines))
    if subject in APPROXIMATE:
        known = [{**each, "expected": json.loads(text)["expected"]} for each, text in zip(known, proposed, strict=True)]
    assert proposed == [vector_text(each) for each in known]


def agree(subject: str, asked: Any) -> None:
    answers = [ANSWERS[subject](asked) for ANSWERS in IMPLEMENTATIONS.values()]
    assert same(asked, *answers), answers


@given(TEXT, SESSION_IDS, st.tuples(RATE, RATE, RATE), UNITS)
def test_both_draw_the_same_slices(salt: str, request_id: str, rates: tuple[float, float, float], unit: str) -> None:
    names = ("exploration_rate", "control_rate", "log_rate")
    fields = {"salt": salt, "request_id": request_id, "unit": unit, **dict(zip(names, rates, strict=True))}
    agree("slices", SliceGiven.model_validate({**fields, "policy_usable": True}))


@FEW
@given(SESSION_IDS, UNITS)
def test_both_find_the_same_units(request_id: str, unit: str) -> None:
    agree("exploration_units", UnitGiven.model_validate({"request_id": request_id, "unit": unit}))


@given(SESSION_IDS, USERS, UNITS, LOG_UNITS)
def test_both_sample_by_the_same_units(request_id: str, user_id: str | None, unit: str, log_unit: str) -> None:
    fields = {"request_id": request_id, "user_id": user_id, "log_unit": log_unit}
    agree("log_units", LogUnitGiven.model_validate({**fields, "exploration_unit": unit}))
    rates = {"exploration_rate": 0.0, "control_rate": 0.0, "log_rate": 0.5, "policy_usable": True}
    agree("slices", SliceGiven.model_validate({**fields, **rates, "salt": "pepper", "unit": unit}))


@given(USERS, RATE, st.lists(st.floats(0.01, 1), min_size=1, max_size=5))
def test_both_draw_the_same_arms_of_an_experiment(user_id: str | None, share: float, weights: list[float]) -> None:
    arms = [{"name": f"a{place}", "share": weight / sum(weights)} for place, weight in enumerate(weights)]
    fields = {"salt": "pepper", "experiment_id": "sweep", "user_id": user_id, "share": share, "arms": arms}
    agree("experiment_arms", ExperimentGiven.model_validate(fields))


@FEW
@given(st.lists(st.just(0.0) | RATE, min_size=1, max_size=8).filter(any), RATE)
def test_both_draw_the_same_arms_of_a_policy(probabilities: list[float], draw: float) -> None:
    agree("policy_arms", PolicyArmGiven(probabilities=probabilities, draw=draw))


@FEW
@given(st.tuples(RATE, st.floats(-5, 3), st.floats(-10, 10), st.floats(-3, 3)), RATE, RATE)
def test_both_draw_the_same_normals(spread: tuple[float, float, float, float], coin: float, place: float) -> None:
    middle, sd, low, length = spread[0], 10 ** spread[1], spread[2], 10 ** spread[3]
    high = low + length
    mean, near = min(low + middle * (high - low), high), 30 * sd * (high - low)
    value = min(max(mean + (2 * place - 1) * near, low), high)
    agree("truncated_normals", NormalGiven(mean=mean, sd=sd * (high - low), low=low, high=high, coin=coin, value=value))


@FEW
@given(TEXT.filter(bool), TEXT, RATE.filter(lambda share: share < 1), st.sampled_from([[], [0], [1], [0, 1]]))
def test_both_draw_the_same_vectors(salt: str, request_id: str, share: float, eligible: list[int]) -> None:
    weights = [{"name": "repin", "low": 10, "high": 200}, {"name": "p2p", "low": 1, "high": 30}]
    asked = {"salt": salt, "request_id": request_id, "production_share": share, "eligible": eligible}
    for kind, spread in (("uniform", {}), ("normal", {"sd": 20.0})):
        explored = [{**weight, "production": weight["high"], **spread} for weight in weights]
        agree("explored_vectors", ExploredGiven.model_validate({**asked, "weights": explored, "kind": kind}))
    proposed = [{**weights[0], "mean": 42.0, "sd": 5.0}, weights[1]]
    drawn = {"proposal": proposed, "salt": salt, "request_id": request_id}
    agree("policy_vectors", PolicyVectorGiven.model_validate(drawn))


@FEW
@given(st.lists(st.sampled_from([None, "g", "h", "k"]), min_size=1, max_size=5))
def test_both_move_the_same_groups(groups: list[str | None]) -> None:
    fields = [{"name": f"w{n}", "production": n, "low": -n, "high": n + 1, "steps": 3} for n in range(len(groups))]
    grouped = [{**each, "group": group} for each, group in zip(fields, groups, strict=True)]
    agree("action_space_digests", WeightSpace.model_validate({"weights": grouped}))


@given(st.data(), ARMS, RATE, RATE, st.sampled_from(["grid", "box", "catalogue"]))
def test_both_draw_the_same_arms(data: st.DataObject, arms: int, share: float, draw: float, kind: str) -> None:
    arms = 2 if kind == "box" else arms
    production = data.draw(st.integers(0, arms - 1)) if kind == "catalogue" else arms - 1
    eligible = data.draw(st.lists(st.integers(0, arms - 1), max_size=5))
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
    for subject in set(SHAPES) - {"arms", "lifting", "murmur2_partitions", "policy_arms", "truncated_normals"}:
        assert any("\\u" in line for line in file_text(subject).splitlines() if '"given"' in line), subject
    keys: list[Case] = cases("murmur2_partitions")
    assert any(not bytes.fromhex(case.given.key).isascii() for case in keys)
