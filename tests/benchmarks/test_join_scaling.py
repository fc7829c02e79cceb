"""The fit of cost over size, and the density behind a number of open decisions."""

from __future__ import annotations

import pytest

from benchmarks.join_scaling import cost_chart, exponent, numbers, requests_per_s

pytestmark = pytest.mark.join_benchmarks


def test_linear_cost_has_exponent_one_and_flat_cost_zero() -> None:
    assert exponent([1, 10, 100], [2, 20, 200]) == pytest.approx(1.0)
    assert exponent([1, 10, 100], [5, 5, 5]) == pytest.approx(0.0)


def test_one_size_has_no_exponent() -> None:
    assert exponent([1], [2]) is None


def test_the_window_holds_as_many_requests_as_are_wanted_open() -> None:
    assert requests_per_s(6_300) == pytest.approx(10.0)


def test_sizes_may_be_written_with_exponents() -> None:
    assert numbers("1e5, 300000,") == [100_000, 300_000]


def test_the_chart_draws_every_point() -> None:
    points = [{"events": size, "seconds": size / 10, "cpu_s_per_million": 9.0} for size in (10, 100)]
    drawn = cost_chart(points, "events", "title").to_dict()
    assert len(drawn["hconcat"]) == 2
