"""Which training rows fits are compared on: a unit's rows are always together, and in every run in the same part."""

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from learner.examples.learning_rows import LearningRows

TENTHS = 10


def unit_tenths(rows: LearningRows) -> NDArray[np.int64]:
    """int64[n] from 0 to 9: a hash of each row's user, or if that names nobody, of its exploration unit."""
    names = rows.unit_names
    tenth = {name: blake2b(f"validate\0{name}".encode(), digest_size=8).digest() for name in set(names)}
    return np.array([int.from_bytes(tenth[name], "big") % TENTHS for name in names], dtype=np.int64)


def validation_rows(rows: LearningRows) -> NDArray[np.bool_]:
    """bool[n]: the first tenth."""
    return np.asarray(unit_tenths(rows) == 0)
