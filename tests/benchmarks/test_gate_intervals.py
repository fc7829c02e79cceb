"""The intervals from counts are those that off_policy computes from the rows."""

import numpy as np
import pytest

from benchmarks.gate_intervals import RowKinds, relative_lifts
from off_policy.doubly_robust import ModelledSample
from off_policy.intervals import EvidenceRequirements
from off_policy.paired_lift import paired_dr_lift


@pytest.mark.parametrize("agreeing", [0, 1])
def test_the_bounds_are_those_of_the_rows_written_out(agreeing: int) -> None:
    """Three logs of two user types; in the second case the policy serves one of them production."""
    rng, logs, level = np.random.default_rng(4), 3, 0.97
    ours = np.array([8.0, 0.0, 0.0, *([4.0, 0.0] if agreeing else [0.0, 8.0])])
    base = np.array([0.0, 4.0, 0.0, 4.0, 0.0])
    q_ours, q_base = rng.uniform(0.05, 0.2, (2, 1, 10)).repeat(logs, axis=1)
    kinds = RowKinds(
        count=rng.integers(30, 900, (logs, 10)).astype(float),
        reward=np.broadcast_to(np.repeat([0.0, 1.0], 5), (logs, 10)),
        ours=np.broadcast_to(np.tile(ours, 2), (logs, 10)),
        base=np.broadcast_to(np.tile(base, 2), (logs, 10)),
        logged=np.broadcast_to(rng.uniform(0.05, 0.2, 10), (logs, 10)),
        q_ours=q_ours,
        q_base=q_base,
    )
    found = relative_lifts(kinds, level, 100, 30)
    for log in range(logs):
        times = kinds.count[log].astype(int)
        reward, weight, other, logged, mine, theirs = (
            np.repeat(each[log], times)
            for each in (kinds.reward, kinds.ours, kinds.base, kinds.logged, kinds.q_ours, kinds.q_base)
        )
        lift = paired_dr_lift(
            ModelledSample(weight, reward, logged, mine),
            ModelledSample(other, reward, logged, theirs),
            EvidenceRequirements(level, 100, 30),
        )
        assert lift.relative_interval is not None and found.answered[log]
        assert found.lower[log] == pytest.approx(lift.relative_interval.lower, abs=1e-9)
        assert found.upper[log] == pytest.approx(lift.relative_interval.upper, abs=1e-9)


@pytest.mark.parametrize("least", [(10**6, 30), (100, 10**6)])
def test_too_few_rows_or_positives_are_no_answer(least: tuple[int, int]) -> None:
    one = np.ones((1, 4))
    ours, base = np.array([[8.0, 0.0, 8.0, 0.0]]), np.array([[0.0, 4.0, 0.0, 4.0]])
    kinds = RowKinds(500 * one, np.array([[0.0, 0.0, 1.0, 1.0]]), ours, base, 0.1 * one, 0.1 * one, 0.1 * one)
    assert not relative_lifts(kinds, 0.95, *least).answered.any()
