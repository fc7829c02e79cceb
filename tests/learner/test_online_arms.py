"""The arms of an online experiment from stored examples: whatever the segments, the answer is that of all its rows."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from event_schemas.codec import Codec
from learner import online_arms
from learner.examples.learner_errors import StoreDamaged
from learner.online_arms import OnlineArms, OnlineComparison, compare_online_arms
from off_policy.arm_comparison import ArmDesign
from tests.learner.arm_samples import DAY, START, counted_world, decision, store_in_segments
from tests.learner_samples import World

SHARES = {"control": 0.5, "a": 0.25, "b": 0.25}
QUESTION = OnlineArms("exp", ArmDesign(SHARES, "control"), START, START + 10 * DAY)


@pytest.fixture
def counted(codec: Codec) -> World:
    return counted_world(codec)


def traffic(world: World, users: int, seed: int = 1) -> list[dict[str, Any]]:
    """Requests of users with one arm each, in sessions of up to three over two days, in the order of their times."""
    rng = np.random.default_rng(seed)
    examples: list[dict[str, Any]] = []
    for user in range(users):
        arm = rng.choice(list(SHARES), p=list(SHARES.values()))
        for session in range(rng.integers(1, 4)):
            opened = START + int(rng.integers(2 * DAY))
            for place in range(rng.integers(1, 4)):
                said = {
                    "request_id": f"s{user}.{session}~{place}",
                    "user": f"u{user}",
                    "arm": f"exp/{arm}",
                    "at": opened + 60_000 * place,
                    "slice": "FALLBACK" if rng.random() < 0.2 else "POLICY",
                    "rate": 0.5,
                    "repin": float(rng.random() < 0.4),
                    "p2p": float(rng.poisson(1.0)),
                    "busy": float(rng.poisson(1.0)),
                    "hide": None if rng.random() < 0.1 else float(rng.random() < 0.2),
                }
                examples.append(decision(world, len(examples), **said | {"successful": said["repin"]}))
    return sorted(examples, key=lambda each: int(each["request"]["event_time"]))


def unit_of_example(example: dict[str, Any], per: str) -> tuple[Any, ...]:
    request = example["request"]
    if per == "request":
        return (request["request_id"],)
    if per == "session":
        return (request["request_id"].split("~")[0],)
    return request["user_id"], request["event_time"] // DAY


def looped_mean(world: World, examples: list[dict[str, Any]], arm: str, outcome: str) -> tuple[float, int]:
    """The mean of an outcome in an arm and the number of its units; all sampling rates are equal."""
    spec = next(each for each in world.experiment.counted if each.name == outcome)
    units: dict[tuple[Any, ...], list[float | None]] = defaultdict(list)
    for example in examples:
        if example["action"]["experiment_arm"] == f"exp/{arm}":
            found = next(each for each in example["outcome"]["objectives"] if each["objective"] == outcome)
            units[unit_of_example(example, spec.per)].append(found["count"] if found["observed"] else None)
    known = [
        min(sum(count for count in counts if count is not None), spec.clip)
        for counts in units.values()
        if None not in counts
    ]
    return sum(known) / len(known), len(known)


def compared(world: World, examples: list[dict[str, Any]], directory: Path, size: int) -> OnlineComparison:
    store_in_segments(world, examples, directory, size)
    return compare_online_arms(QUESTION, directory, world.experiment)


def test_every_counted_outcome_is_compared_in_its_own_units(counted: World, tmp_path: Path) -> None:
    examples = traffic(counted, users=400)
    said = compared(counted, examples, tmp_path, 500).as_dict()
    json.dumps(said, allow_nan=False)
    assert said["outcomes"] == ["repin", "p2p", "successful", "busy", "hide"]
    for arm, result in said["arms"].items():
        own = [each for each in examples if each["action"]["experiment_arm"] == f"exp/{arm}"]
        assert result["users"] == len({each["request"]["user_id"] for each in own})
        assert (result["rows"], result["requests"]) == (len(own), 2.0 * len(own))
        for name, outcome in result["outcomes"].items():
            mean, units = looped_mean(counted, examples, arm, name)
            assert outcome["units"] == units, name
            assert outcome["mean"] == pytest.approx(mean, rel=1e-12), name
            assert arm == "control" or outcome["interval"]["lower"] < outcome["delta"], name
    assert said["arms"]["a"]["outcomes"]["busy"]["per"] == "user-day"
    assert said["arms"]["a"]["outcomes"]["hide"]["role"] == "guardrail"
    assert (said["id"], said["control"], said["span"]) == ("exp", "control", [START, START + 10 * DAY])
    assert said["seen"] == [examples[0]["request"]["event_time"], examples[-1]["request"]["event_time"]]
    assert said["left_out"].keys() == {"unobserved:hide"}
    assert said["sample_ratio_p"] > 0.001


@pytest.mark.parametrize("at_once", [1, 70])
def test_neither_segments_nor_batches_change_the_answer(
    counted: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    examples = traffic(counted, users=120, seed=2)
    whole = compared(counted, examples, tmp_path / "whole", len(examples)).as_dict()
    monkeypatch.setattr(online_arms, "SUMMED_TOGETHER", at_once)
    parts = compared(counted, examples, tmp_path / "parts", 25).as_dict()
    assert (parts["left_out"], parts["seen"]) == (whole["left_out"], whole["seen"])
    for arm, result in whole["arms"].items():
        np.testing.assert_allclose(parts["arms"][arm]["covariance"], result["covariance"], rtol=1e-9, atol=1e-18)
        for name, outcome in result["outcomes"].items():
            assert parts["arms"][arm]["outcomes"][name]["mean"] == pytest.approx(outcome["mean"], rel=1e-12)


def test_other_decisions_change_nothing(counted: World, tmp_path: Path) -> None:
    examples = traffic(counted, users=60, seed=3)
    others = [
        decision(counted, 90_000, arm=None, repin=1),
        decision(counted, 90_001, arm="canary", repin=1),
        decision(counted, 90_002, at=START - 1, repin=1),
        decision(counted, 90_003, at=START + 10 * DAY, repin=1),
        decision(counted, 90_004, slice="EXPLORE", repin=1),
        decision(counted, 90_005, arm="exp/z", repin=1),
        decision(counted, 90_006, user="u2000", arm="exp/a", repin=1),
        decision(counted, 90_007, user="u2000", arm="exp/b", repin=1),
    ]
    alone = compared(counted, examples, tmp_path / "alone", 50)
    among = compared(counted, [*examples, *others], tmp_path / "among", 50)
    assert among.comparison.as_dict() == alone.comparison.as_dict()
    more = {"explored_or_control": 1, "undeclared_arm": 1, "several_arms": 2}
    assert among.left_out == {**alone.left_out, **more}


def test_sessions_and_days_need_the_settings_that_their_rows_were_logged_with(counted: World, tmp_path: Path) -> None:
    raised = counted.experiment.exploration.with_log_rate(0.5)
    examples = traffic(counted, users=60, seed=4)
    for example in examples:
        example["propensity"]["exploration"] = raised.digest
    store_in_segments(counted, examples, tmp_path, 50)
    unknown = compare_online_arms(QUESTION, tmp_path, counted.experiment)
    known = compare_online_arms(QUESTION, tmp_path, counted.experiment, {raised.digest: raised})
    rows = len(examples)
    assert {**known.left_out, "no_unit:successful": rows, "no_unit:busy": rows} == unknown.left_out
    arms = unknown.comparison.arms["a"].outcomes, known.comparison.arms["a"].outcomes
    assert arms[0]["repin"] == arms[1]["repin"]
    assert (arms[0]["busy"].units, arms[0]["busy"].interval) == (0, None)
    assert arms[1]["busy"].units > 0


def test_without_any_row_there_is_no_answer_and_no_error(counted: World, tmp_path: Path) -> None:
    for directory in (tmp_path / "empty", tmp_path / "others"):
        if directory.name == "others":
            store_in_segments(counted, [decision(counted, 0, arm=None)], directory, 1)
        said = compare_online_arms(QUESTION, directory, counted.experiment).as_dict()
        json.dumps(said, allow_nan=False)
        assert (said["seen"], said["sample_ratio_p"], said["left_out"]) == (None, None, {})
        for arm in ("a", "b"):
            for outcome in said["arms"][arm]["outcomes"].values():
                assert (outcome["interval"], outcome["delta"]) == (None, None)
                assert outcome["refusal"]["code"] == "too_few_units"


def test_a_damaged_segment_is_an_error(counted: World, tmp_path: Path) -> None:
    store_in_segments(counted, traffic(counted, users=5), tmp_path, 5)
    next(iter(tmp_path.glob("*.parquet"))).write_bytes(b"")
    with pytest.raises(StoreDamaged):
        compare_online_arms(QUESTION, tmp_path, counted.experiment)


def test_users_are_compared_in_the_cohort_of_their_first_request(counted: World, tmp_path: Path) -> None:
    examples = traffic(counted, users=200, seed=6)
    first: dict[str, str] = {}
    for example in examples:
        first.setdefault(example["request"]["user_id"], example["request"]["cohort"])
    assert len({(e["request"]["user_id"], e["request"]["cohort"]) for e in examples}) > 200, "some users change"
    found = compared(counted, examples, tmp_path / "all", 60)
    assert list(found.cohorts) == ["CORE", "REST"]
    for name, comparison in found.cohorts.items():
        own = [each for each in examples if first[each["request"]["user_id"]] == name]
        alone = compared(counted, own, tmp_path / name, 60).comparison
        assert {arm: each.users for arm, each in comparison.arms.items()} == {
            arm: each.users for arm, each in alone.arms.items()
        }
        for arm in SHARES:
            for outcome, each in alone.arms[arm].outcomes.items():
                assert comparison.arms[arm].outcomes[outcome].mean == pytest.approx(each.mean, rel=1e-9)
                assert comparison.arms[arm].outcomes[outcome].mean_error == pytest.approx(each.mean_error, rel=1e-9)
    said = found.as_dict()["cohorts"]
    assert said["CORE"]["arms"]["a"]["users"] == found.cohorts["CORE"].arms["a"].users
