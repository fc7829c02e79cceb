"""Several p-values become one by Bonferroni's rule."""

import pytest

from learner.judgement.tested_part import smallest_of


@pytest.mark.parametrize(
    ("p_values", "together"), [([], 1.0), ([0.3], 0.3), ([0.01, 0.5], 0.02), ([0.6, 0.7], 1.0), ([0.0, 1.0], 0.0)]
)
def test_the_smallest_counts_as_often_as_there_are_tests(p_values: list[float], together: float) -> None:
    assert smallest_of(p_values) == pytest.approx(together)
