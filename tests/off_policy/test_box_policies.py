"""Importance weights of the mixed measure: probabilities for production, densities for vectors."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from event_schemas.truncated_normal import TruncatedNormal
from off_policy.box_policies import (
    BoxPolicy,
    UniformVectors,
    bandwidth_of,
    kernel_policy,
    logged_policy,
    normal_policy,
    production_policy,
    uniform_vectors,
)
from off_policy.logged_bandit import EvaluationError
from tests.off_policy.box_worlds import MEAN, SHARE, SPREAD, BoxWorld

N = 400
WORLD = BoxWorld(2, "normal")
LOG = WORLD.draw(N, np.random.default_rng(5))


def test_a_weight_is_the_ratio_of_what_both_give_to_just_this() -> None:
    policy = BoxPolicy("half", np.full(N, 0.5), normal_policy("n", *WORLD.target(N)).vectors)
    weights = policy.importance(LOG)
    assert weights[LOG.atom] == pytest.approx(0.5 / SHARE)
    row = int(np.flatnonzero(~LOG.atom)[3])
    side = TruncatedNormal(MEAN, SPREAD, 0.0, 1.0)
    density = math.exp(sum(side.log_density(value) for value in LOG.vectors[row]))
    assert weights[row] == pytest.approx(0.5 * density / (math.exp(LOG.log_density[row]) * (1 - SHARE)))


def test_production_has_weight_where_it_was_drawn_and_the_logging_policy_everywhere() -> None:
    production = production_policy("production", N)
    assert production.importance(LOG) == pytest.approx(LOG.atom / SHARE)
    assert logged_policy("logged", LOG).importance(LOG) == pytest.approx(1.0)
    assert uniform_vectors("uniform", N).importance(LOG)[LOG.atom] == pytest.approx(0.0)
    assert production.overlap(logged_policy("logged", LOG)) == pytest.approx(SHARE)


def test_a_policy_serves_production_where_nothing_else_was_eligible() -> None:
    only = LOG.atom & (np.arange(N) % 2 == 0)
    forced = replace(LOG.decisions, propensity=np.where(only, 1.0, LOG.decisions.propensity))
    log = replace(LOG, decisions=forced)
    for policy in (uniform_vectors("u", N), normal_policy("n", *WORLD.target(N))):
        served = policy.served_in(log)
        assert served.importance(log)[only] == pytest.approx(1.0)
        assert served.importance(log)[~only] == pytest.approx(policy.importance(log)[~only])
    for policy in (production_policy("p", N), logged_policy("l", log)):
        assert policy.served_in(log) is policy


@pytest.mark.parametrize("kind", ["uniform", "normal"])
def test_weights_have_the_mean_one(kind: str) -> None:
    world = BoxWorld(2, "uniform" if kind == "uniform" else "normal")
    log = world.draw(100_000, np.random.default_rng(6))
    for policy in (
        normal_policy("n", *world.target(log.rows)),
        uniform_vectors("u", log.rows) if kind == "uniform" else logged_policy("l", log),
        kernel_policy("k", np.full((log.rows, 2), 0.02), np.full(2, 0.1)),
        production_policy("p", log.rows),
    ):
        weights = policy.importance(log)
        assert abs(weights.mean() - 1) <= 4 * weights.std() / math.sqrt(log.rows), policy.name


def test_a_policy_outside_the_box_is_refused() -> None:
    inside = np.full((1, 2), 0.5)
    for mean, sd in ((inside + 1, inside), (inside, 0 * inside), (inside * np.nan, inside)):
        with pytest.raises(EvaluationError):
            normal_policy("n", mean, sd)
    with pytest.raises(EvaluationError, match="P\\(production\\)"):
        BoxPolicy("p", np.full(3, 0.5))
    with pytest.raises(EvaluationError, match="P\\(production\\)"):
        BoxPolicy("p", np.full(3, 1.5), UniformVectors())


def test_the_bandwidth_shrinks_with_the_rows() -> None:
    assert bandwidth_of(LOG) == pytest.approx(
        LOG.vectors[~LOG.atom].std(axis=0, ddof=1) * (~LOG.atom).sum() ** (-1 / 6)
    )
    assert (bandwidth_of(WORLD.draw(1, np.random.default_rng(0))) > 0).all()
