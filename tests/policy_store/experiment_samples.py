"""Online experiments for tests of the policy store and of serving."""

from __future__ import annotations

from typing import Any

from policy_store.records.experiment_record import ExperimentArm, OnlineExperiment
from policy_store.records.preference_record import PreferenceTarget


def arm(name: str, share: float, version: str | None = None, alpha: float | None = None) -> ExperimentArm:
    """An arm, with a preference for α."""
    preference = None if alpha is None else PreferenceTarget.of(alpha=alpha)
    return ExperimentArm(name=name, share=share, version=version, preference=preference)


def plan(start: int, *arms: ExperimentArm, **changes: Any) -> OnlineExperiment:
    """The experiment `x1` on a fifth of the users for a day, by default of `bold` (α = .9) against `control`."""
    content: dict[str, Any] = {
        "id": "x1",
        "share": 0.2,
        "arms": arms or (arm("control", 0.5), arm("bold", 0.5, alpha=0.9)),
        "control": "control",
        "start": start,
        "planned_end": start + 86_400_000,
    }
    return OnlineExperiment(**{**content, **changes})


def result(experiment_id: str = "x1", start: int = 1, end: int = 2, **changes: Any) -> dict[str, Any]:
    """What a ledger's entry says of it, without who decided."""
    arms = [
        {"name": name, "share": 0.5, "users": 50, "rows": 500, "means": [0.1], "deltas": [0.0], "covariance": [[0.0]]}
        for name in ("control", "bold")
    ]
    content: dict[str, Any] = {
        "id": experiment_id,
        "control": "control",
        "start": start,
        "end": end,
        "outcomes": [{"name": "repin", "role": "optimise"}],
        "arms": arms,
        "verdict": "inconclusive",
    }
    return content | changes
