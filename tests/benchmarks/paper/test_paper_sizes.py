"""The full study has what the issue asks for, and both fit the numbers that a plan may have."""

import pytest

from benchmarks.paper.paper_sizes import FULL, REDUCED, PaperSizes
from simulator.traffic import NUMBERS_PER_SEED

LAST_WEEK = 0.44
"""The share of a growing traffic's 21 days that the last seven have."""


def test_the_full_hold_out_has_two_million_rows() -> None:
    assert FULL.plans * FULL.requests * LAST_WEEK >= 2e6
    assert FULL.seeds >= 20 and REDUCED.seeds >= 5


@pytest.mark.parametrize("sizes", [REDUCED, FULL])
def test_no_plan_has_more_requests_than_numbers(sizes: PaperSizes) -> None:
    assert max(sizes.requests, 2 * sizes.online) <= NUMBERS_PER_SEED
    assert sizes.training_plans <= sizes.plans
