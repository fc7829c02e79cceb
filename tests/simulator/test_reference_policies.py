"""What the reference policies answer, and that an agent serves it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from simulator.reference_policies import NormalPolicy, SoftmaxPolicy

ROWS = {"user_embedding": np.zeros((3, 4), dtype=np.float32)}


def test_the_softmax_prefers_one_arm() -> None:
    policy = SoftmaxPolicy(arms=5, preferred=2, temperature=0.5)
    answer = policy.score(ROWS).probabilities
    assert answer.shape == (3, 5)
    assert answer[0, 2] / answer[0, 0] == pytest.approx(math.exp(2.0))
    assert answer.sum(axis=1) == pytest.approx([1.0] * 3)
    assert (answer == policy.probabilities).all()
    assert SoftmaxPolicy(5, 2, 1e-4).probabilities.tolist() == [0, 0, 1, 0, 0], "no overflow when it is cold"


def test_the_normal_proposes_around_one_vector() -> None:
    answer = NormalPolicy([100.0, 5.0], [20.0, 3.0]).score(ROWS)
    assert answer.mean.tolist() == [[100.0, 5.0]] * 3
    assert answer.sd.tolist() == [[20.0, 3.0]] * 3


def test_without_features_there_is_one_request() -> None:
    assert SoftmaxPolicy(5, 2).score({}).probabilities.shape == (1, 5)
    assert NormalPolicy([1.0], [1.0]).score({}).mean.shape == (1, 1)
