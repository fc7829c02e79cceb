"""Points in percent, and means over the seeds that have one."""

import math

import numpy as np

from benchmarks.paper.lift_points import lifts_of, mean_points, over_seeds, point, worse_lift
from off_policy.estimates import Interval


def test_a_point_is_in_percent_and_a_refused_interval_has_no_bounds() -> None:
    found = point(0.1234567, Interval(-0.1, 0.3, 0.95, "t"), 12.0)
    assert found == {"lift": 12.346, "lower": -10.0, "upper": 30.0, "true": 12.0}
    assert point(math.nan, None, 1.0) == {"lift": None, "lower": None, "upper": None, "true": 1.0}


def test_a_missing_lift_is_worse_than_any() -> None:
    lifts = lifts_of([[{"lift": 1.0}, {"lift": -2.0}], [{"lift": 3.0}, {"lift": None}]])
    assert worse_lift(lifts).tolist() == [-2.0, -np.inf]


def test_seeds_without_a_figure_are_left_out() -> None:
    assert over_seeds([1.0, None, math.nan]) == [1.0, None, None]
    assert over_seeds([None]) == [None, None, None]
    assert mean_points([{"lift": 1.0, "true": 2.0}, {"lift": 1.0, "true": 4.0}])["lift"] == [1.0, 1.0, 1.0]
