"""The explored log as arrays, checked once so that estimators need no checks of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from event_schemas.errors import TrimtabError
from off_policy.numeric_arrays import BoolArray, FloatArray, IntArray

LEAST_PROPENSITY = 1e-100
"""With smaller propensities, squared weights overflow; no correct logger writes such probabilities."""


class EvaluationError(TrimtabError):
    """The arrays given to the evaluation contradict each other or have values out of range."""


@dataclass(frozen=True, slots=True, eq=False)
class LoggedBandit:
    """EXPLORE decisions and their outcomes; row i is one decision.

    action      int[n]      the arm that was applied, >= 0
    propensity  float[n]    P(action | slice, request), in [1e-100, 1]
    reward      float[n, O] clipped rewards; ignored where not observed
    observed    bool[n, O]  False where an objective's engagement feed was down: the row is left out of
                            that objective, never counted as zero
    objectives  names of the O objectives
    cohort      one cohort name (or None) per row, or None if the log has no cohorts
    units       int[n] from 0: rows with one number belong to one user or session, and standard errors are
                computed by these; None if every row is independent

    Raises EvaluationError if a shape, range or type is wrong.
    """

    action: IntArray
    propensity: FloatArray
    reward: FloatArray
    observed: BoolArray
    objectives: tuple[str, ...]
    cohort: tuple[str | None, ...] | npt.NDArray[np.object_] | None = None
    units: IntArray | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "action", whole_numbers(self.action, "log.action"))
        object.__setattr__(self, "propensity", np.asarray(self.propensity, dtype=np.float64))
        object.__setattr__(self, "reward", np.asarray(self.reward, dtype=np.float64))
        object.__setattr__(self, "observed", np.asarray(self.observed, dtype=np.bool_))
        object.__setattr__(self, "objectives", tuple(self.objectives))
        if self.units is not None:
            object.__setattr__(self, "units", whole_numbers(self.units, "log.units"))
        self._check_shapes()
        self._check_ranges()

    @property
    def rows(self) -> int:
        return len(self.action)

    @property
    def cohort_names(self) -> tuple[str, ...]:
        """The cohorts in the log, sorted; rows without a cohort are ignored."""
        if self.cohort is None:
            return ()
        return tuple(sorted({str(name) for name in set(self.cohort) if name is not None}))

    def cohort_rows(self, name: str) -> BoolArray:
        """bool[n]: rows of the cohort `name`."""
        if self.cohort is None:
            return np.zeros(self.rows, dtype=np.bool_)
        members: BoolArray = np.asarray(self.cohort, dtype=np.object_) == name
        return members

    def _check_shapes(self) -> None:
        n, width = len(self.action), len(self.objectives)
        expected: dict[str, tuple[int, ...]] = {"action": (n,), "propensity": (n,)}
        expected |= {"reward": (n, width), "observed": (n, width)}
        for name, shape in expected.items():
            require_shape(f"log.{name}", np.asarray(getattr(self, name)), shape)
        if width == 0 or len(set(self.objectives)) != width:
            raise EvaluationError(
                f"log.objectives are {self.objectives!r}", fix="name each objective once, and at least one"
            )
        if self.units is not None:
            require_shape("log.units", self.units, (n,))
            self._require("units", self.units >= 0, "a negative number", "number the units from 0")
        if self.cohort is not None and len(self.cohort) != n:
            raise EvaluationError(
                f"log.cohort has {len(self.cohort)} entries for {n} rows", fix="give one cohort per row"
            )

    def _check_ranges(self) -> None:
        self._require("action", self.action >= 0, "a negative arm", "use arm indices from 0")
        sound = np.isfinite(self.propensity) & (self.propensity > 0) & (self.propensity <= 1)
        fix = "log P(arm | slice, request) of the arm that was applied; drop rows that lack it"
        self._require("propensity", sound, "a propensity outside (0, 1]", fix)
        squarable = self.propensity >= LEAST_PROPENSITY
        self._require("propensity", squarable, f"a propensity below {LEAST_PROPENSITY:g}", fix)
        finite: BoolArray = np.isfinite(self.reward) | ~self.observed
        complete = np.all(finite, axis=1)
        self._require("reward", complete, "a reward that is not finite", "mask it with observed = False")

    def _require(self, field: str, sound: BoolArray, trouble: str, fix: str) -> None:
        unsound = np.flatnonzero(~sound)
        if unsound.size:
            first = int(unsound[0])
            value = getattr(self, field)[first].tolist()
            raise EvaluationError(f"log.{field}: {trouble} in row {first}: {value!r}", fix=fix)


def require_shape(name: str, array: npt.NDArray[np.generic], shape: Sequence[int]) -> None:
    """Raise EvaluationError unless `array` has exactly `shape`."""
    if array.shape != tuple(shape):
        raise EvaluationError(
            f"{name} has shape {array.shape}, expected {tuple(shape)}",
            fix="build all arrays of one evaluation from the same rows, arms and objectives",
        )


def whole_numbers(values: npt.ArrayLike, name: str) -> IntArray:
    """`values` as int64; raises EvaluationError for non-integers, which a cast would silently truncate."""
    array = np.asarray(values)
    if array.size and not np.issubdtype(array.dtype, np.integer):
        raise EvaluationError(f"{name} has type {array.dtype}", fix="give arm indices as integers")
    return array.astype(np.int64, copy=False)
