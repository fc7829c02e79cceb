"""`[serving]`: its defaults, and the values that it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from event_schemas.serving_section import ServingSpec
from event_schemas.units import DAY_MS


def test_a_file_without_the_section_has_these_limits() -> None:
    spec = ServingSpec()
    assert (spec.budget_ms, spec.poll, spec.heartbeat, spec.checkpoint_ttl) == (20.0, 5_000, 10_000, 7 * DAY_MS)
    assert (spec.canary_share, spec.experiment_log_rate, spec.most_nodes) == (0.05, 1.0, 100)
    assert (spec.on_stale, spec.remember_previous) == ("keep", False)


def test_durations_are_written_with_their_unit() -> None:
    assert ServingSpec.model_validate({"poll": "250ms", "heartbeat": "1m"}).heartbeat == 60_000


@pytest.mark.parametrize(
    "change",
    [
        {"budget_ms": 0},
        {"canary_share": 1.1},
        {"experiment_log_rate": 0},
        {"experiment_log_rate": 1.1},
        {"most_nodes": 0},
        {"min_drift_samples": 0},
        {"on_stale": "stop"},
        {"more": 1},
    ],
)
def test_a_value_out_of_its_range_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(change))):
        ServingSpec.model_validate(change)
