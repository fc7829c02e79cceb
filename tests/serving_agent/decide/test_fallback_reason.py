"""Reasons are a closed set of metric labels."""

from __future__ import annotations

import re

from serving_agent.decide.fallback_reason import FallbackReason


def test_reasons_are_fit_for_labels() -> None:
    assert all(re.fullmatch("[a-z_]+", reason.value) for reason in FallbackReason)


def test_the_contract_names_are_there() -> None:
    named = {"killed", "no_policy", "no_preference", "missing_features", "time_out", "inference_error", "drift"}
    assert named <= {reason.value for reason in FallbackReason}
