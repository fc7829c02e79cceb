"""Users and sessions with an implausible share of the traffic: crawlers, load tests, a shared id.

One of them is all on one side of every split, and an interval that clusters by user rests on it alone.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from event_schemas.shown_text import shown
from learner.examples.learning_rows import LearningRows

NAMED_SHARE = 0.01
"""A unit with more of the rows is named and left out of splits, if it stands out from the others too."""
STOPPING_SHARE = 0.04
"""A unit with more of the rows makes the log unsound, if it stands out even from the most active of the others."""
TIMES_THE_MEAN = 4.0
"""It stands out with more than this many times the mean of the others; among 100 users each has 1 % of the rows."""
TIMES_THE_LARGEST = 2.0
"""More than this many times the largest unit of an ordinary share: people differ too, where there are few of them."""
FEWEST_ROWS, FEWEST_UNITS = 40, 20
"""With fewer rows a unit may stand out by chance; among fewer units there is nothing that it stands out from."""


@dataclass(frozen=True, slots=True)
class HeavyUnit:
    """A user, or a session or request without one, with `rows` of `of` explored rows of a span.

    `stops` says whether the log is unsound because of it.
    """

    name: str
    rows: int
    of: int
    stops: bool = False

    def __str__(self) -> str:
        return f"{shown(self.name)} has {self.rows} of {self.of} explored rows ({self.rows / self.of:.1%})"

    def as_dict(self) -> dict[str, Any]:
        """For the evaluation's report."""
        return {"name": self.name, "rows": self.rows, "of": self.of, "stops": self.stops}


def heavy_units(rows: LearningRows) -> tuple[HeavyUnit, ...]:
    """The units of `rows` with too much of them, largest first."""
    sizes = Counter(rows.unit_names)
    if len(sizes) < FEWEST_UNITS:
        return ()
    named: dict[str, int] = {}
    for name, size in sizes.most_common():
        mean = (rows.count - size) / (len(sizes) - 1)
        if size < FEWEST_ROWS or size <= max(NAMED_SHARE * rows.count, TIMES_THE_MEAN * mean):
            break
        named[name] = size
    ordinary = max((size for name, size in sizes.items() if name not in named), default=0)
    limit = max(STOPPING_SHARE * rows.count, TIMES_THE_LARGEST * ordinary)
    return tuple(HeavyUnit(name, size, rows.count, size > limit) for name, size in named.items())


def without_units(rows: LearningRows, heavy: tuple[HeavyUnit, ...]) -> LearningRows:
    """The rows of all other units."""
    names = {each.name for each in heavy}
    if not names:
        return rows
    return rows.take(np.array([name not in names for name in rows.unit_names], dtype=np.bool_))
