"""A policy that passed pick-up."""

from __future__ import annotations

import dataclasses

import pytest

from tests.serving_samples import loaded, preferring, serving_experiment


def test_a_policy_cannot_change_while_it_serves() -> None:
    experiment = serving_experiment()
    policy = loaded(experiment, preferring(experiment, repin=2))
    assert (policy.samples, policy.pinned) == (True, None)
    with pytest.raises(dataclasses.FrozenInstanceError):
        policy.version = "v2"  # type: ignore[misc]
