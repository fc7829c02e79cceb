"""Whether a linear fit predicts better than what was trained, on training rows that neither saw."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from event_schemas.experiment import Experiment
from feature_contract import FeatureContract
from learner.examples.learning_rows import LearningRows
from learner.network.algorithm import Algorithm
from learner.network.linear_learning import LinearLearning
from learner.network.validation_units import validation_rows

MOST_ASIDE = 0.2
"""Of the training rows."""
LEAST_ASIDE = 50
"""Of validation rows; with fewer nothing is set aside."""
MOST_COLUMNS = 1_024
MOST_CELLS = 200_000_000
"""Beyond MOST_COLUMNS coefficients of an objective, or MOST_CELLS of arms × coefficients², a fit costs minutes."""
ERRORS_AHEAD = 1.0
"""How many standard errors the linear fit must be ahead by (Breiman et al., 1984, the one-standard-error rule)."""


@dataclass(frozen=True)
class LinearRival:
    """Losses on `rows` validation rows: the mean over rows of the sum over objectives of (Q − r)².

    `ahead` is the checkpoint's loss minus the linear fit's, `standard_error` that of `ahead`, by unit.
    """

    rows: int
    loss: float
    linear_loss: float
    ahead: float
    standard_error: float

    @property
    def wins(self) -> bool:
        """Whether the linear fit is ahead by ERRORS_AHEAD standard errors."""
        return self.ahead > ERRORS_AHEAD * self.standard_error

    @property
    def sentence(self) -> str | None:
        """What to tell people if it wins."""
        if not self.wins:
            return None
        return (
            f"a linear fit beats this checkpoint on training-side validation (squared error {self.linear_loss:.5f}"
            f' against {self.loss:.5f} on {self.rows} rows): set learner.algorithm = "linear"'
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "wins": self.wins, "sentence": self.sentence}


def rows_set_aside(
    algorithm: Algorithm, rows: LearningRows, of: tuple[Experiment, FeatureContract]
) -> NDArray[np.bool_]:
    """bool[n]: the training rows to validate on; every run that sets rows aside chooses the same users.

    None for an algorithm that is linear itself, if there would be fewer than LEAST_ASIDE, if so few users have the
    rows that these would be more than MOST_ASIDE of all, or if a linear fit would cost minutes.
    """
    nothing = np.zeros(rows.count, dtype=bool)
    if not algorithm.continues or not _affordable(rows, of):
        return nothing
    aside = validation_rows(rows)
    return aside if LEAST_ASIDE <= aside.sum() <= MOST_ASIDE * rows.count else nothing


def _affordable(rows: LearningRows, of: tuple[Experiment, FeatureContract]) -> bool:
    columns = LinearLearning(*of).coefficients(rows.inputs)
    return columns <= MOST_COLUMNS and of[0].action_space.arms * columns**2 <= MOST_CELLS


def compare_with_linear(
    algorithm: Algorithm, rows: LearningRows, aside: NDArray[np.bool_], of: tuple[Experiment, FeatureContract]
) -> LinearRival | None:
    """What a linear fit to the same rows predicts, those that are not `aside`, beside what was trained on them.

    None without rows aside.
    """
    if not aside.any():
        return None
    linear, tried = LinearLearning(*of), rows.take(aside)
    linear.fit(rows.take(~aside))
    losses, others = row_losses(algorithm, tried), row_losses(linear, tried)
    ahead = losses - others
    return LinearRival(
        rows=tried.count,
        loss=float(losses.mean()),
        linear_loss=float(others.mean()),
        ahead=float(ahead.mean()),
        standard_error=error_of_mean(ahead, tried.units),
    )


def error_of_mean(values: NDArray[np.float64], units: NDArray[np.int64]) -> float:
    """The standard error of the mean of `values` float64[n] whose rows belong to `units` int64[n]."""
    of_unit = np.bincount(units, weights=values - values.mean())
    return float(np.sqrt(np.square(of_unit).sum()) / len(values))


def row_losses(algorithm: Algorithm, rows: LearningRows) -> NDArray[np.float64]:
    """float64[n]: the sum over observed objectives of (Q − r)² for the arm that was served."""
    values = algorithm.score(rows.inputs)[np.arange(rows.count), rows.arms]
    losses: NDArray[np.float64] = (np.square(values - rows.rewards) * rows.observed).sum(axis=1, dtype=np.float64)
    return losses
