"""Units are drawn for validation once and for all."""

from typing import Any

import numpy as np

from learner.network.validation_units import unit_tenths, validation_rows


def test_rows_of_a_unit_are_together_and_stay_where_they_are(world: Any) -> None:
    rows = world.rows(world.examples(4_000))
    tenths = unit_tenths(rows)
    of_unit = {name: set(tenths[np.array(rows.unit_names) == name]) for name in rows.unit_names[:200]}
    assert all(len(found) == 1 for found in of_unit.values())
    later = rows.take(np.arange(1_000, 4_000))
    np.testing.assert_array_equal(unit_tenths(later), tenths[1_000:])
    assert np.bincount(tenths, minlength=10).min() > 250
    np.testing.assert_array_equal(validation_rows(rows), tenths == 0)
