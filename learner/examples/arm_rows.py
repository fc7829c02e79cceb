"""The decisions of an online experiment among stored examples, and why the others do not count.

By intention to treat: all POLICY and FALLBACK requests of an arm count, whichever of the two its users got, because
only then do the arms differ in nothing but the draw of their users. EXPLORE and CONTROL are drawn apart from the arms
and serve the same in all of them.
"""

from collections import Counter
from collections.abc import Sequence

import polars as pl

from event_schemas.experiment_coins import arm_label
from event_schemas.experiment_sections import ObjectiveSpec
from event_schemas.slices import Slice
from event_schemas.user_ids import person
from learner.examples.counting_units import UNIT_COLUMNS
from learner.examples.example_rule import EVENT_TIME
from learner.examples.row_outcomes import counted_outcomes
from learner.examples.row_settings import DIGEST

USER_ID, SLICE, COHORT = "request_user_id", "action_slice", "request_cohort"
EXPERIMENT_ARM, SAMPLING_RATE = "action_experiment_arm", "propensity_sampling_rate"
OUTCOMES, CLOSED_EARLY = "outcome_objectives", "outcome_closed_early"
OF_UNITS = (*UNIT_COLUMNS, SLICE, SAMPLING_RATE, DIGEST)
"""The columns that say which counting unit a row belongs to."""
READ = (*OF_UNITS, EXPERIMENT_ARM, OUTCOMES, CLOSED_EARLY, COHORT)
"""The columns of a stored example that are read."""
USER_NUMBER, ARM_NUMBER, WEIGHT = "user", "arm", "weight"
NOBODY = -1
"""In place of a user's number."""
TREATED = (Slice.POLICY.value, Slice.FALLBACK.value)


class ArmRows:
    """Finds the rows of one experiment in segments, and numbers its users over all of them from 0.

    `arms` are the names of its arms, which number them from 0; `span` is half-open, of request times in epoch ms.
    `left_out` counts rows of the experiment in the span by the reason why they do not count (see `online_arms`).
    """

    def __init__(
        self, experiment_id: str, arms: Sequence[str], span: tuple[int, int], outcomes: Sequence[ObjectiveSpec]
    ) -> None:
        self._prefix = arm_label(experiment_id, "")
        self._arms = {arm_label(experiment_id, arm): number for number, arm in enumerate(arms)}
        self._span = span
        self._outcomes = [each.name for each in outcomes]
        self._numbers: dict[str, int] = {}
        self.left_out: Counter[str] = Counter()

    @property
    def users(self) -> int:
        """How many users have been seen."""
        return len(self._numbers)

    def of(self, part: pl.DataFrame) -> pl.DataFrame:
        """The rows of one segment that count, in their order.

        Columns: USER_NUMBER, ARM_NUMBER and WEIGHT = 1 / sampling rate; for each outcome those that `count_column` and
        `observed_column` name; COHORT, and OF_UNITS.
        """
        rows = self._declared(part)
        early = rows[CLOSED_EARLY].to_numpy()
        self.left_out["closed_early"] += int(early.sum())
        outcomes = []
        for name, (counts, observed) in counted_outcomes(rows[OUTCOMES], self._outcomes).items():
            self.left_out[f"unobserved:{name}"] += int((~observed & ~early).sum())
            outcomes += [pl.Series(count_column(name), counts), pl.Series(observed_column(name), observed & ~early)]
        return rows.select(
            *OF_UNITS,
            COHORT,
            USER_NUMBER,
            rows[EXPERIMENT_ARM].replace_strict(self._arms, return_dtype=pl.Int64).alias(ARM_NUMBER),
            (1.0 / rows[SAMPLING_RATE]).alias(WEIGHT),
            *outcomes,
        )

    def _declared(self, part: pl.DataFrame) -> pl.DataFrame:
        """The rows that count, with USER_NUMBER; the others are counted by reason, each by the first that applies."""
        inside = pl.col(EVENT_TIME).is_between(*self._span, closed="left")
        rows = part.filter(inside & pl.col(EXPERIMENT_ARM).str.starts_with(self._prefix))
        rate = pl.col(SAMPLING_RATE)
        for reason, sound in {
            "explored_or_control": pl.col(SLICE).is_in(TREATED),
            "undeclared_arm": pl.col(EXPERIMENT_ARM).is_in(list(self._arms)),
            "no_sampling_rate": (rate > 0.0) & (rate <= 1.0),
        }.items():
            kept = rows.filter(sound)
            self.left_out[reason] += rows.height - kept.height
            rows = kept
        numbered = rows.with_columns(self._users_of(rows[USER_ID]).alias(USER_NUMBER))
        kept = numbered.filter(pl.col(USER_NUMBER) >= 0)
        self.left_out["no_user"] += rows.height - kept.height
        return kept

    def _users_of(self, names: pl.Series) -> pl.Series:
        """The number of each user, NOBODY for none; a user who is seen for the first time gets the next one."""
        if names.is_empty():
            return pl.Series(dtype=pl.Int64)
        distinct = names.unique(maintain_order=True)
        numbers = [self._number(name) for name in distinct.to_list()]
        return names.replace_strict(distinct, numbers, return_dtype=pl.Int64)

    def _number(self, name: str | None) -> int:
        found = self._numbers.get(name, NOBODY) if name is not None else NOBODY
        if found == NOBODY and name is not None and person(name) is not None:
            found = self._numbers[name] = len(self._numbers)
        return found


def count_column(outcome: str) -> str:
    """The column with what was counted for this outcome, before clipping."""
    return f"count:{outcome}"


def observed_column(outcome: str) -> str:
    """The column that is False where this outcome is unknown."""
    return f"observed:{outcome}"
