"""Simulated learners and verdicts, in few runs."""

import numpy as np
import pytest

from benchmarks.gate_rules import shipped_looks
from benchmarks.gate_worlds import GateWorld, largest_error, predictions, run_world


def test_a_policy_at_the_margin_rarely_passes_and_each_pass_is_counted_wrong() -> None:
    world = GateWorld("boundary", (-0.05, 0.9), 3000, margin=0.05, arms=5, production=0.25)
    found = run_world(world, list(shipped_looks(7, 90)), 300, 1)
    assert found.wrong.mean() <= largest_error(0.05, 300)
    assert ((found.first >= 0) == (found.wrong > 0)).all()
    loose = run_world(world, [(7, 0.25)], 300, 1)
    assert 0.15 < loose.wrong.mean() < 0.32, "at a share of a quarter, a quarter of looks"


def test_a_better_policy_passes_and_a_worse_one_is_refused() -> None:
    looks = list(shipped_looks(7, 28))
    better = run_world(GateWorld("better", (0.3, 0.3), 4000, arms=5, production=0.25), looks, 50, 1)
    worse = run_world(GateWorld("worse", (-0.3, 1.2), 4000, arms=5, production=0.25), looks, 50, 1)
    assert (better.first >= 0).mean() > 0.9 and not better.wrong.any() and not better.refused.any()
    assert (worse.first < 0).all() and worse.refused.mean() > 0.9


def test_the_same_seed_gives_the_same_verdicts() -> None:
    world = GateWorld("again", (0.1, 0.1), 1000, arms=5, production=0.25)
    first, second = (run_world(world, [(7, 0.02)], 60, 3) for _ in range(2))
    assert (first.first == second.first).all()


def test_the_learner_is_a_ridge_regression_around_the_mean() -> None:
    rows = np.array([[[100.0, 0.0]]])
    hits = np.array([[[[20.0, 0.0]]], [[[50.0, 0.0]]]])
    q = predictions(rows, hits)
    assert q[0, 0, 0] == pytest.approx([0.2, 0.2]), "an arm without rows has the mean"
    assert q.shape == (2, 1, 1, 2)
