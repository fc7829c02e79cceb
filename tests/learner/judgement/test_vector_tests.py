"""The vectors of a box against what they say they were drawn from, without recomputing a draw."""

from __future__ import annotations

import numpy as np
import pytest

from event_schemas.codec import Codec
from event_schemas.registry import Registry
from feature_contract import FeatureContract
from learner.examples.learning_rows import LearningRows
from learner.judgement.gate import UNSOUND_P_VALUE
from learner.judgement.vector_tests import vector_tests
from off_policy.truncated_normals import TruncatedNormals
from tests.box_samples import DrawnWorld, box_experiment
from tests.learner_samples import World, check_log

CODEC = Codec(Registry.bundled())
BOX = box_experiment()
SPACE = BOX.action_space
LEARNT = FeatureContract.from_experiment(BOX)


def foreign_rows(seed: int, bend: float = 1.0, requests: int = 700, drop: float = 2.0) -> LearningRows:
    """EXPLORE rows without a digest; each coin is bent by a power, and rows beyond `drop` of a side are lost."""
    world = World(BOX, CODEC)
    rng, mean, sd = np.random.default_rng(seed), SPACE.normalised(SPACE.weights[1]), np.array([50.0, 8.0]) / [190, 29]
    exploring, examples = TruncatedNormals(mean, sd), []
    for number in range(requests):
        vector = exploring.quantile(rng.random(2) ** bend)
        arm = int(rng.random() < 0.125)
        if vector[0] > drop:
            continue
        example = world.example(number, arm, 0.125 if arm else 0.875, [0.0] * 4, [0.0, 0.0])
        weights = SPACE.weights[1] if arm else SPACE.low + vector * (SPACE.high - SPACE.low)
        example["action"]["weights"] = weights.tolist()
        example["propensity"]["log_density"] = None if arm else float(exploring.log_density(vector).sum())
        examples.append(example)
    return world.rows(examples)


def test_an_honest_foreign_log_is_rarely_doubted() -> None:
    p_values = [check_log(foreign_rows(seed, requests=150), BOX).p_value for seed in range(20)]
    assert all(p is not None and p > UNSOUND_P_VALUE for p in p_values)
    assert sum(p < 0.1 for p in p_values if p is not None) <= 6


@pytest.mark.parametrize(("bend", "drop"), [(1.4, 2.0), (1.0, 0.5)])
def test_vectors_that_come_from_elsewhere_or_are_lost_are_found(bend: float, drop: float) -> None:
    found = check_log(foreign_rows(1, bend, 900, drop), BOX)
    assert found.method == "vectors"
    assert found.p_value is not None
    assert found.p_value < UNSOUND_P_VALUE
    assert "weight repin: Kolmogorov-Smirnov distance" in found.detail


def test_a_density_of_something_else_is_no_density() -> None:
    example = World(BOX, CODEC).example(0, 0, 0.875, [0.0] * 4, [0.0, 0.0])
    for density in (0.0, None):
        example["action"]["weights"] = [20.0, 9.1]
        example["propensity"]["log_density"] = density
        found = check_log(World(BOX, CODEC).rows([example]), BOX)
        assert (found.p_value, found.method) == (0.0, "vectors")
        assert "request 'r000000' has the weights [20.0, 9.1]" in found.detail


def test_own_rows_are_tested_by_their_own_settings() -> None:
    narrow = box_experiment(
        weights=[
            {"name": "repin", "production": 20.0, "low": 10, "high": 200, "sd": 5},
            {"name": "p2p", "production": 9.1, "low": 1, "high": 30, "sd": 1},
        ]
    )
    examples = [each for each in DrawnWorld(narrow, CODEC).examples(600) if each["action"]["slice"] == "EXPLORE"]
    world = World(BOX, CODEC)
    frame = world.frame(examples)
    known = LearningRows.of(frame, BOX, LEARNT, {narrow.exploration.digest: narrow.exploration})
    assert min(part.p_value for part in vector_tests(known, SPACE)) > UNSOUND_P_VALUE
    sound = check_log(known, BOX)
    assert sound.p_value is not None and sound.p_value > UNSOUND_P_VALUE
    lost = LearningRows.of(frame, BOX, LEARNT)
    assert vector_tests(lost, SPACE)[0].detail == "too few vectors for the test"
    unsure = check_log(lost, BOX)
    assert f"{len(examples)} rows name exploration settings that are not kept here" in unsure.detail
