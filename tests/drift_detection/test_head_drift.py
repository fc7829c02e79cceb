"""The pick-up check: drift, no drift, and insufficient data."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from drift_detection.head_drift import DriftLimits, check_heads
from drift_detection.quantile_sketch import QuantileSketch, SketchError

RNG = np.random.default_rng(0)
LIMITS = DriftLimits(max_psi=0.25, min_samples=500)
REFERENCE = {name: QuantileSketch.from_sample(RNG.beta(2, 5, 20_000)) for name in ("click", "save")}


def live(**changes: list[float] | None) -> dict[str, list[float]]:
    heads: dict[str, list[float] | None] = {name: RNG.beta(2, 5, 1000).tolist() for name in REFERENCE}
    return {name: values for name, values in (heads | changes).items() if values is not None}


def test_the_same_distribution_is_ok() -> None:
    verdict = check_heads(REFERENCE, live(), LIMITS)
    assert verdict.status == "ok"
    assert verdict.reasons == ()
    assert [head.head for head in verdict.heads] == ["click", "save"]
    assert all(head.psi < 0.1 and head.ks < 0.1 and head.samples == 1000 for head in verdict.heads)


def test_a_shifted_head_is_drift_and_named() -> None:
    verdict = check_heads(REFERENCE, live(save=RNG.beta(4, 3, 1000).tolist()), LIMITS)
    assert verdict.status == "drift"
    assert [head.head for head in verdict.heads if head.alarm] == ["save"]
    assert "PSI" in verdict.reasons[0]


def test_a_missing_head_is_drift_but_an_idle_one_lacks_data() -> None:
    missing = check_heads(REFERENCE, live(save=None), LIMITS)
    assert missing.status == "drift"
    assert "missing" in missing.reasons[0]
    idle = check_heads(REFERENCE, live(save=[]), LIMITS)
    assert idle.status == "insufficient_data"
    assert "0 live values, 500 needed" in idle.reasons[0]
    assert not math.isfinite(idle.heads[1].psi)


def test_drift_outweighs_missing_data() -> None:
    verdict = check_heads(REFERENCE, live(click=[0.1], save=[0.99] * 800), LIMITS)
    assert verdict.status == "drift"
    assert len(verdict.reasons) == 2


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_drift(bad: float) -> None:
    verdict = check_heads(REFERENCE, live(save=[*RNG.beta(2, 5, 999).tolist(), bad]), LIMITS)
    assert verdict.status == "drift"
    assert "1 of 1000 live values are not finite" in verdict.reasons[0]
    lenient = DriftLimits(max_non_finite_share=0.01)
    assert check_heads(REFERENCE, live(save=[*RNG.beta(2, 5, 999).tolist(), bad]), lenient).status == "ok"


@pytest.mark.parametrize("limits", [{"max_psi": float("nan")}, {"min_samples": 0}, {"max_non_finite_share": 2.0}])
def test_limits_that_would_silence_an_alarm_are_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(SketchError, match="drift limits"):
        DriftLimits(**limits)


def test_heads_without_reference_are_not_judged() -> None:
    assert check_heads(REFERENCE, live(new=[1.0]), LIMITS).status == "ok"
    assert check_heads({}, live(), LIMITS).status == "ok"


def test_an_empty_reference_decides_nothing() -> None:
    verdict = check_heads({"click": REFERENCE["click"].emptied()}, live(), LIMITS)
    assert verdict.status == "insufficient_data"
    assert "reference sketch is empty" in verdict.reasons[0]
