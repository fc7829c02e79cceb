"""Compares the arms of an online experiment by intention to treat, from the examples stored on this machine.

A user's arm is what `experiment_arm` of an Action says: `<experiment id>/<arm>`. Segments are read one after the other;
what stays in memory are sums by user and, for outcomes that are counted per session or user-day, some columns of each
of the experiment's rows.

A user belongs to the cohort of the first request that counts, for the whole experiment: so users stay in one cohort,
and an arm that moves users from one cohort to another does not change who is compared there.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from event_schemas.experiment import Experiment
from event_schemas.experiment_sections import ObjectiveSpec, Per
from event_schemas.exploration import ExplorationSettings
from learner.examples.arm_rows import (
    ARM_NUMBER,
    COHORT,
    READ,
    USER_NUMBER,
    WEIGHT,
    ArmRows,
    count_column,
    observed_column,
)
from learner.examples.counting_units import counting_units
from learner.examples.example_rule import EVENT_TIME
from learner.examples.first_cohorts import FirstCohorts
from learner.examples.row_settings import RowSettings
from learner.examples.segment_reading import over_segments
from off_policy.arm_comparison import ArmDesign, ArmSums, compare_arms
from off_policy.arm_results import ArmComparison, OutcomeLabel
from off_policy.numeric_arrays import IntArray
from off_policy.user_sums import IN_NONE, ArmUsers, CountedRows, UserSums

SUMMED_TOGETHER = 500_000
"""Rows that are summed together: a sum has a cell for every user seen so far."""


@dataclass(frozen=True, slots=True)
class OnlineArms:
    """The arms of experiment `id`, and the half-open span of request times (epoch ms) in which they are compared."""

    id: str
    design: ArmDesign
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class OnlineComparison:
    """What was found; `seen` is the first and the last request time that counts, None if there is none.

    `cohorts` has the same comparison among the users of each declared cohort that has any.

    `left_out` has decisions of the experiment in the span by the reason why they do not count:

    explored_or_control  in another slice than POLICY and FALLBACK
    undeclared_arm       of an arm that the question does not have
    no_sampling_rate     with a sampling rate outside (0, 1]
    no_user              with a user_id that names nobody
    several_arms         of users who are in more than one arm
    closed_early         counts as a request, but has no outcome, because its later engagements are missing
    unobserved:NAME      counts as a request, but not for this outcome, whose feed was down or which it does not have
    no_unit:NAME         the same, because it is in no counting unit of this outcome, or was logged at a lower rate
                         than the rest of its unit
    """

    question: OnlineArms
    comparison: ArmComparison
    left_out: Mapping[str, int]
    seen: tuple[int, int] | None
    cohorts: Mapping[str, ArmComparison] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "id": self.question.id,
            "span": [self.question.start, self.question.end],
            "seen": None if self.seen is None else list(self.seen),
            **self.comparison.as_dict(),
            "left_out": dict(self.left_out),
            "cohorts": {name: each.as_dict() for name, each in self.cohorts.items()},
        }


def compare_online_arms(
    question: OnlineArms,
    directory: Path,
    experiment: Experiment,
    explorations: Mapping[str, ExplorationSettings] | None = None,
) -> OnlineComparison:
    """The comparison on every counted outcome, in its own units, from the segments in `directory`.

    `explorations` are the kept exploration settings by digest, which say what the log kept together. A session or day
    that the span cuts counts with its requests inside. Raises StoreDamaged.
    """
    span, outcomes = (question.start, question.end), experiment.counted
    kept = {} if explorations is None else explorations

    def find(parts: Iterator[pl.DataFrame]) -> OnlineComparison:
        rows = ArmRows(question.id, list(question.design.shares), span, outcomes)
        log = _SummedLog(outcomes, [each.name for each in experiment.cohorts])
        for batch in _batches(rows.of(part) for part in parts):
            log.add(batch, rows.users)
        users, sums, unplaced = log.end(rows.users, lambda frame: RowSettings.of(frame, experiment, kept))
        comparison = compare_arms(question.design, users, sums)
        several = int(users.rows[users.arm == IN_NONE].sum())
        left_out = {**rows.left_out, "several_arms": several, **unplaced}
        cohorts = {name: compare_arms(question.design, part, sums) for name, part in log.by_cohort(users).items()}
        counted = {reason: count for reason, count in left_out.items() if count}
        return OnlineComparison(question, comparison, counted, log.seen, cohorts)

    return over_segments(directory, find, list(READ), span)


def _batches(parts: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """The same rows, in fewer parts."""
    waiting: list[pl.DataFrame] = []
    for part in parts:
        waiting.append(part)
        if sum(each.height for each in waiting) >= SUMMED_TOGETHER:
            yield pl.concat(waiting)
            waiting = []
    if waiting:
        yield pl.concat(waiting)


class _SummedLog:
    """The sums by user of all rows so far; outcomes with units of several rows are summed at the end."""

    def __init__(self, outcomes: Sequence[ObjectiveSpec], cohorts: Sequence[str] = ()) -> None:
        self._outcomes = outcomes
        self._first = FirstCohorts(cohorts)
        self._users: ArmUsers = _no_users()
        self._sums = {each.name: _no_sums() for each in outcomes if each.per == "request"}
        self._kept: list[pl.DataFrame] = []
        self.seen: tuple[int, int] | None = None

    def add(self, rows: pl.DataFrame, users: int) -> None:
        """Add rows (see `ArmRows.of`), whose users have numbers below `users`."""
        if not rows.height:
            return
        times = rows[EVENT_TIME].to_numpy()
        first, last = self.seen or (int(times[0]), int(times[0]))
        self.seen = min(first, int(times.min())), max(last, int(times.max()))
        user, weight = rows[USER_NUMBER].to_numpy(), rows[WEIGHT].to_numpy()
        self._first.add(user, times, rows[COHORT], users)
        self._users = self._users.plus(ArmUsers.of(rows[ARM_NUMBER].to_numpy(), user, weight, users))
        for each in self._outcomes:
            if each.name in self._sums:
                of_rows = UserSums.of(_rows_of(rows, each.name), each.clip, users)
                self._sums[each.name] = self._sums[each.name].plus(of_rows)
        if len(self._sums) < len(self._outcomes):
            self._kept.append(
                rows.drop(ARM_NUMBER, COHORT, *map(count_column, self._sums), *map(observed_column, self._sums))
            )

    def by_cohort(self, users: ArmUsers) -> dict[str, ArmUsers]:
        """The users of each declared cohort that has any; those of others are in no arm there."""
        return {
            name: replace(users, arm=np.where(self._first.number == place, users.arm, IN_NONE))
            for place, name in enumerate(self._first.names)
            if bool((users.arm[self._first.number == place] != IN_NONE).any())
        }

    def end(
        self, users: int, settings: Callable[[pl.DataFrame], RowSettings]
    ) -> tuple[ArmUsers, list[ArmSums], dict[str, int]]:
        """All users, the sums of every outcome in order, and the rows in no unit by `no_unit:NAME`."""
        kept = pl.concat(self._kept) if self._kept else pl.DataFrame()
        numbered: dict[Per, IntArray] = {}
        sums, unplaced = [], {}
        for each in self._outcomes:
            found = self._sums.get(each.name, _no_sums())
            if each.name not in self._sums and kept.height:
                if each.per not in numbered:
                    numbered[each.per] = counting_units(kept, each.per, settings(kept)).numbers
                unit = numbered[each.per]
                unplaced[f"no_unit:{each.name}"] = int((unit < 0).sum())
                found = UserSums.of(_rows_of(kept, each.name).by_unit(unit), each.clip, users)
            sums.append(ArmSums(OutcomeLabel(each.name, each.role, each.per, each.clip), found))
        return self._users, sums, unplaced


def _rows_of(rows: pl.DataFrame, outcome: str) -> CountedRows:
    columns = (rows[name].to_numpy() for name in (USER_NUMBER, WEIGHT, count_column(outcome), observed_column(outcome)))
    return CountedRows(*columns)


def _no_users() -> ArmUsers:
    none: IntArray = np.zeros(0, dtype=np.int64)
    return ArmUsers.of(none, none, np.zeros(0), 0)


def _no_sums() -> UserSums:
    none = np.zeros(0)
    return UserSums.of(CountedRows(np.zeros(0, dtype=np.int64), none, none, np.zeros(0, dtype=np.bool_)), 1.0, 0)
