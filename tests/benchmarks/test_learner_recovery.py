"""The recovery after a shift: windows, interpolation, and regrets that fall."""

import numpy as np
import pytest

from benchmarks.learner_recovery import SHARES, halved_at, recoveries, recovery, window
from benchmarks.shifting_world import ShiftingWorld, joined


def test_the_window_keeps_its_length_and_loses_the_oldest_rows() -> None:
    world = ShiftingWorld(1, 40)
    old, new = joined(world.week(0, 0), world.week(1, 0)), joined(world.week(2, 1), world.week(3, 1))
    rows = window(old, new, 30)
    assert rows.count == 80
    np.testing.assert_array_equal(rows.arms, np.concatenate([old.arms[30:], new.arms[:30]]))
    np.testing.assert_array_equal(window(old, new, 80).arms, new.arms)


def test_the_regret_is_halved_where_the_line_crosses_the_half() -> None:
    assert halved_at([0, 100, 200], [0.8, 0.6, 0.2]) == 150
    assert halved_at([0, 100], [0.8, 0.4]) == 100
    assert halved_at([0, 100], [0.8, 0.41]) is None


def test_means_have_intervals_over_seeds() -> None:
    first, second = [1.0, *(0.4 for _ in SHARES)], [0.8, *(0.4 for _ in SHARES)]
    found = recovery([{"seed": 1, "regrets": first}, {"seed": 2, "regrets": second}], 100)
    assert found["examples"] == [0, 25, 50, 100, 150, 200] and found["seeds"] == 2
    mean, lower, upper = found["regret"][0]
    assert mean == 0.9 and upper - mean == pytest.approx(12.706 * 0.1, abs=1e-3) and lower < mean
    assert found["regret"][1] == [0.4, 0.4, 0.4]
    assert found["halved_at"] == 22


def test_each_number_of_examples_has_a_regret_of_its_own() -> None:
    [run] = recoveries([3], 600, [2.0])
    before, after = run["regrets"]
    assert before != after and 0 < before < 2 and 0 < after < 2
