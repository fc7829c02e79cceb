"""The reference sketches of a checkpoint."""

from typing import Any

import numpy as np

from drift_detection.quantile_sketch import QuantileSketch
from event_schemas.records import MOST_HEADS
from learner.judgement.reference_sketches import (
    SMALLEST_SAMPLE,
    head_shift,
    q_head_sketches,
    q_reference_rows,
    ranker_head_sketches,
    ranker_head_values,
    sketches_as_dict,
)


def test_one_value_per_request_and_head(world: Any) -> None:
    values = ranker_head_values(world.frame(world.examples(10)))
    assert set(values) == {"repin", "p2p"}
    assert len(values["repin"]) == 10


def test_requests_without_a_ranking_are_skipped(world: Any) -> None:
    examples = world.examples(3)
    examples[1]["ranking"] = None
    assert len(ranker_head_values(world.frame(examples))["p2p"]) == 2
    for example in examples:
        example["ranking"] = None
    assert ranker_head_values(world.frame(examples)) == {}


def test_values_that_are_not_finite_stay_out(world: Any) -> None:
    examples = world.examples(3)
    examples[0]["ranking"]["heads"][0]["mean"] = float("nan")
    sketches = ranker_head_sketches(world.frame(examples))
    assert (sketches["repin"].total, sketches["repin"].non_finite) == (2, 0)


def test_a_head_that_hardly_any_request_carries_gets_no_reference(world: Any) -> None:
    examples = world.examples(200)
    examples[7]["ranking"]["heads"][0]["head"] = "rpein"
    for example in examples[:10]:
        example["ranking"]["heads"].append({**example["ranking"]["heads"][1], "head": "new"})
    assert set(ranker_head_sketches(world.frame(examples))) == {"repin", "p2p", "new"}


def test_no_log_makes_more_references_than_a_node_keeps_heads(world: Any) -> None:
    examples = world.examples(2 * SMALLEST_SAMPLE)
    usual = examples[0]["ranking"]["heads"]
    for number, example in enumerate(examples):
        odd = [{**usual[1], "head": f"odd-{at}"} for at in range(70)]
        example["ranking"]["heads"] = [*usual[: 1 + number % 9], *(odd if number else [])]
    frame = world.frame(examples)
    sketches = ranker_head_sketches(frame)
    assert len(sketches) == MOST_HEADS and usual[0]["head"] in sketches, "the most frequent ones are kept"
    assert len(head_shift(frame, frame)) == MOST_HEADS


def test_q_sketches_count_every_arm_of_every_request() -> None:
    q = np.random.default_rng(0).random((20, 10, 2)).astype(np.float32)
    sketches = q_head_sketches(q, ("repin", "p2p"))
    assert sketches["p2p"].total == 200
    assert q_head_sketches(q[:0], ("repin", "p2p")) == {}
    again = {name: QuantileSketch.from_dict(content) for name, content in sketches_as_dict(sketches).items()}
    assert again == sketches


def test_the_newest_rows_are_covered_and_fewer_with_very_many_arms() -> None:
    assert q_reference_rows(20, 10) == slice(0, 20)
    assert q_reference_rows(12_000, 1_000) == slice(7_000, 12_000)
    assert q_reference_rows(12_000, 10_000) == slice(11_500, 12_000)
    assert q_reference_rows(3, 10**8) == slice(2, 3)
    assert q_reference_rows(0, 10) == slice(0, 0)


def test_a_shift_between_two_spans_is_measured(world: Any) -> None:
    examples = world.examples(2 * SMALLEST_SAMPLE)
    for example in examples[SMALLEST_SAMPLE:]:
        example["ranking"]["heads"][1]["mean"] += 1.0
    before, after = world.frame(examples[:SMALLEST_SAMPLE]), world.frame(examples[SMALLEST_SAMPLE:])
    shifts = head_shift(before, after)
    assert shifts["repin"] < 0.1
    assert shifts["p2p"] > 1.0


def test_too_few_values_are_not_judged(world: Any) -> None:
    frame = world.frame(world.examples(50))
    assert head_shift(frame, frame) == {}
