"""A digest of the rows that a network is trained on, and their numbers by day: whether they are still the same.

The digest is of what training reads: inputs, arms, rewards and which of them were observed, in their order. It is the
same for the same rows whatever segments they are in.
"""

from collections.abc import Mapping
from hashlib import sha256

import numpy as np

from event_schemas.instant import utc_day
from event_schemas.units import DAY_MS
from learner.examples.learning_rows import LearningRows


def row_digest(rows: LearningRows) -> str:
    """SHA-256 (hex) of the arrays, each with its name, type and shape."""
    digest = sha256()
    arrays = {**dict(rows.inputs.items()), "arms": rows.arms, "rewards": rows.rewards, "observed": rows.observed}
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def rows_by_day(rows: LearningRows) -> Mapping[str, int]:
    """The number of rows by UTC day of their requests."""
    days, counts = np.unique(rows.event_times // DAY_MS, return_counts=True)
    return {utc_day(int(day)): int(count) for day, count in zip(days, counts, strict=True)}
