"""What a box log refuses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from off_policy.box_log import BoxLog
from off_policy.logged_bandit import EvaluationError, LoggedBandit
from tests.off_policy.box_worlds import BoxWorld

LOG = BoxWorld(2, "normal").draw(50, np.random.default_rng(0))
VECTOR = int(np.flatnonzero(~LOG.atom)[0])
ATOM = int(np.flatnonzero(LOG.atom)[0])


def changed(name: str, row: int, value: float) -> BoxLog:
    values = getattr(LOG, name).copy()
    values[row] = value
    return replace(LOG, **{name: values})


@pytest.mark.parametrize("name", ["vectors", "log_density"])
def test_what_an_atom_says_is_ignored(name: str) -> None:
    assert changed(name, ATOM, np.nan).served_vectors[ATOM] == pytest.approx(LOG.production)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("vectors", 1.1, f"row {VECTOR} is outside the box"),
        ("vectors", np.nan, f"row {VECTOR} is outside the box"),
        ("log_density", np.nan, f"log_density of row {VECTOR} is nan"),
        ("log_density", np.inf, f"log_density of row {VECTOR} is inf"),
        ("log_density", -300.0, f"log_density of row {VECTOR} is -300"),
        ("production", -0.1, "outside the box"),
    ],
)
def test_a_vector_without_a_place_or_a_density_is_refused(name: str, value: float, text: str) -> None:
    with pytest.raises(EvaluationError, match=text):
        changed(name, 0 if name == "production" else VECTOR, value)


def test_a_third_arm_and_other_shapes_are_refused() -> None:
    decisions = LOG.decisions
    third = LoggedBandit(
        decisions.action + 1, decisions.propensity, decisions.reward, decisions.observed, decisions.objectives
    )
    with pytest.raises(EvaluationError, match="arm 2"):
        replace(LOG, decisions=third)
    with pytest.raises(EvaluationError, match="shape"):
        replace(LOG, vectors=LOG.vectors[:, :1])
    with pytest.raises(EvaluationError, match="shape"):
        replace(LOG, log_density=LOG.log_density[1:])
