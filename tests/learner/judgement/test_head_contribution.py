"""Contributions of heads on numbers that can be worked out by hand."""

from typing import Any

import numpy as np
import pytest

from event_schemas.action_space import Axis, catalogue_action_space, grid_action_space
from learner.judgement.head_contribution import contributions, head_contribution, head_means, weight_sweep

SPACE = grid_action_space([Axis("repin", 3.0, 1.0, 9.0, 5), Axis("p2p", 1.0, 1.0, 3.0, 3)])


def test_shares_are_of_the_absolute_products() -> None:
    heads = np.array([[0.5, 0.5], [0.0, 0.2], [0.0, 0.0]])
    assert contributions(heads, np.array([3.0, -1.0])).tolist() == [[0.75, 0.25], [0.0, 1.0], [0.0, 0.0]]


def test_a_sweep_moves_one_weight() -> None:
    heads = np.array([[1.0, 1.0], [1.0, 3.0]])
    assert weight_sweep(heads, np.array([5.0, 1.0]), 0, [1.0, 3.0]) == pytest.approx((0.375, 0.625))


def test_tuned_and_named_heads_share_the_utility() -> None:
    means = {name: np.full(10, 0.1) for name in ("repin", "p2p", "closeup", "hide")}
    means["p2p"][0] = np.nan
    found = head_contribution(means, SPACE, {"closeup": 4.0}, steps=3)
    assert [each.head for each in found.shares] == ["closeup", "repin", "p2p"]
    assert [each.mean for each in found.shares] == pytest.approx([0.5, 0.375, 0.125])
    assert (found.requests, found.unweighted, found.refusal) == (9, ("hide",), None)
    first = found.sweeps[0]
    assert (first.head, first.values) == ("repin", (1.0, 5.0, 9.0))
    assert first.contributions == pytest.approx((1 / 6, 0.5, 9 / 14))


@pytest.mark.parametrize(
    ("means", "words"),
    [
        ({}, "heads=…"),
        ({"repin": np.ones(2)}, "no head named p2p"),
        ({"repin": np.array([1.0, np.nan]), "p2p": np.array([np.nan, 1.0])}, "all of the heads"),
    ],
)
def test_what_is_missing_is_said(means: dict[str, Any], words: str) -> None:
    found = head_contribution(means, SPACE, {})
    assert found.refusal is not None and words in found.refusal


def test_a_catalogue_has_no_weights() -> None:
    found = head_contribution({"a": np.ones(1)}, catalogue_action_space("a", ["size"], {"a": [1.0]}), {})
    assert found.refusal is not None and "catalogue" in found.refusal


def test_means_are_read_by_row(world: Any) -> None:
    examples = world.examples(3)
    examples[1]["ranking"] = None
    found = head_means(world.frame(examples))
    assert list(found) == ["p2p", "repin"]
    np.testing.assert_allclose(found["repin"], [0.1, np.nan, 0.12], rtol=1e-6)
    assert head_means(world.frame(examples)[:0]) == {}
