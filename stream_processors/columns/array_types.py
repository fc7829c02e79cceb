"""Names for the array types that columns of records are made of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
"""Which rows are meant."""
Claims = NDArray[np.uint8]
"""What Actions and Propensities claim, see `rule.claims`."""
Integers = NDArray[np.int64]
"""Times, offsets, or numbers of rows."""
