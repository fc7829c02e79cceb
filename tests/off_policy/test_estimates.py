"""Estimates survive JSON, undefined numbers included."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from off_policy.estimates import Estimate, Interval, Refusal, RefusalCode, build_estimate
from off_policy.importance_weights import Evidence

EVIDENCE = Evidence(1000, 200, 40, 180.0, 90.0, 38.0, 150.0, 180.0)
INTERVAL = Interval(0.1, 0.3, 0.95, "student-t")
REFUSAL = Refusal(RefusalCode.TOO_FEW_POSITIVES, "fewer than 30 positives (4)")


def round_trip(estimate: Estimate) -> dict[str, Any]:
    text = json.dumps(estimate.as_dict(), allow_nan=False)
    return Estimate.from_dict(json.loads(text)).as_dict()


@pytest.mark.parametrize(
    ("interval", "refusal", "gateable"),
    [(INTERVAL, None, True), (None, REFUSAL, False), (INTERVAL, REFUSAL, False), (None, None, False)],
)
def test_round_trip_and_standing(interval: Interval | None, refusal: Refusal | None, gateable: bool) -> None:
    estimate = build_estimate("snips", (0.2, 0.05), EVIDENCE, (interval, refusal))
    assert estimate.gateable is gateable
    assert round_trip(estimate) == estimate.as_dict()
    assert estimate.as_dict()["matched_rows"] == 200


def test_undefined_numbers_become_null_and_come_back() -> None:
    estimate = build_estimate("snips", (math.nan, math.nan), EVIDENCE, (None, REFUSAL))
    assert estimate.as_dict()["value"] is None
    again = Estimate.from_dict(estimate.as_dict())
    assert math.isnan(again.value)
    assert again.refusal == REFUSAL
