"""Tests whether the log is consistent: compares logged arms with logged probabilities (a sample-ratio test).

If arms do not occur as often as their propensities say, the experiment is broken in a way that no estimator notices:
all estimates would be wrong.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from event_schemas.experiment import Experiment
from event_schemas.shown_text import shown
from learner.examples.eligible_lists import EligibleLists
from learner.examples.heavy_units import STOPPING_SHARE, HeavyUnit
from learner.examples.learning_rows import LearningRows
from learner.examples.row_settings import DIGEST, RowSettings
from learner.judgement.arm_counts import arm_count_parts
from learner.judgement.declared_distributions import DeclaredDistributions
from learner.judgement.gate import UNSOUND_P_VALUE, Reason
from learner.judgement.inverse_propensity import FEWEST_FOREIGN, ForeignRows, rounding_of
from learner.judgement.recomputed_draws import contradictions
from learner.judgement.tested_part import Method, TestedPart
from learner.judgement.vector_tests import vector_tests

NOT_COUNTED = "its rows were not compared with the producers' tallies"


class LogVerdict(StrEnum):
    """What is known of a log."""

    SOUND = "sound"
    COMPLETENESS_UNVERIFIED = "completeness_unverified"
    UNSOUND = "unsound"


@dataclass(frozen=True, slots=True)
class LogSoundness:
    """`p_value` of the hypothesis that the log was drawn, counted and kept as it says; None without rows.

    `method` is that of the test with the smallest p-value, and `detail` tells what all tests found. `faults` are the
    reasons why the log is unsound, with the `method` of a test or `heavy_unit` as code. `doubt` says why it is not
    known to be complete; empty if it is. `heavy` are the units that are left out because they have too many rows.
    """

    rows: int
    p_value: float | None
    method: Method
    detail: str
    faults: tuple[Reason, ...] = ()
    doubt: str = NOT_COUNTED
    heavy: tuple[HeavyUnit, ...] = ()

    @classmethod
    def of(
        cls, rows: int, parts: list[TestedPart], doubt: str = NOT_COUNTED, heavy: tuple[HeavyUnit, ...] = ()
    ) -> "LogSoundness":
        """Of the tests of a log of so many judged rows; their p-values are combined by Bonferroni's rule."""
        stopping = tuple(
            Reason("heavy_unit", f"{each}, more than {STOPPING_SHARE:.0%}") for each in heavy if each.stops
        )
        if not parts:
            return cls(rows, None, "chi_square", "no rows", stopping, doubt, heavy)
        ordered = sorted(parts, key=lambda part: part.p_value)
        faults = tuple(
            Reason(part.method, f"{part.detail} (p = {part.p_value:.2g})")
            for part in ordered
            if not len(parts) * part.p_value >= UNSOUND_P_VALUE
        )
        p_value = min(1.0, len(parts) * ordered[0].p_value)
        detail = "; ".join([*(part.detail for part in parts), *(f"left out: {each}" for each in heavy)])
        return cls(rows, p_value, ordered[0].method, detail, (*faults, *stopping), doubt, heavy)

    @property
    def verdict(self) -> LogVerdict:
        """Whether estimates from the log can be trusted."""
        if self.faults:
            return LogVerdict.UNSOUND
        return LogVerdict.COMPLETENESS_UNVERIFIED if self.doubt else LogVerdict.SOUND

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Why the log is not sound; empty if it is."""
        return self.faults or ((Reason("completeness_unverified", self.doubt),) if self.doubt else ())

    def as_dict(self) -> dict[str, Any]:
        """For reports: the verdict first."""
        return {
            "verdict": self.verdict.value,
            "reasons": [{"code": reason.code, "sentence": reason.sentence} for reason in self.reasons],
            "rows": self.rows,
            "p_value": self.p_value,
            "method": self.method,
            "detail": self.detail,
            "heavy_units": [each.as_dict() for each in self.heavy],
        }


def propensity_parts(
    rows: LearningRows, experiment: Experiment, control: pl.DataFrame | None = None
) -> list[TestedPart]:
    """Test the explored rows, and the `control` rows of the same span whose draws can be recomputed.

    Every draw is recomputed of the rows that name their exploration settings: if one gives another slice, arm, vector,
    density or probability than is logged, the log is unsound (p = 0).

    A row declares the distribution of its arm: by its logged probabilities, or else by the settings that it names, or
    else by the experiment file's. A row is odd if its propensity is another than its distribution gives. Propensities
    may be rounded to three decimals or more.

    - An odd row that logs its probabilities contradicts itself: the log is unsound (p = 0).
    - So is a log with fewer than `FEWEST_FOREIGN` odd rows among others that the exploration explains: too few to be
      the log of another policy.
    - With more odd rows, all rows without logged probabilities or known settings are taken for a log that another
      policy may have drawn, in part or whole. They are tested by the propensities alone, arm by arm (`ForeignRows`),
      which holds for any mixture. So are, for each digest, the rows that name settings which nobody kept.
    - All other rows take part in χ² tests of the arms' counts against the sums of their probabilities, with sparse arms
      pooled (`arm_count_parts`), and the vectors of a box in a test for each weight (see `vector_tests`).
    """
    if rows.count == 0:
        return []
    declared = DeclaredDistributions.of(rows, experiment)
    shares = declared.shares_of(rows.arms)
    possible = (rows.propensities > 0) & (rows.propensities <= 1)
    explained = possible & (np.abs(shares - rows.propensities) <= rounding_of(rows.propensities))
    settings, width = rows.settings, experiment.action_space.arms
    ours = possible & ~declared.logged & ~settings.recomputed & ~settings.lost
    odd = int((ours & ~explained).sum())
    mixed = ours & (odd >= min(FEWEST_FOREIGN, (int(ours.sum()) + 1) // 2) > 0)
    lost = possible & ~declared.logged & settings.lost
    counted = explained & ~mixed & ~lost
    parts = [
        _recomputed(rows, experiment, control),
        _contradictions(rows, shares, ~explained & ~mixed & ~lost),
        *_foreign(rows, mixed, width, "").parts(),
        *_lost_parts(rows, lost, width),
        *arm_count_parts(rows.arms, declared, counted),
        *(vector_tests(rows, experiment.action_space) if experiment.action_space.kind == "box" else ()),
    ]
    return [part for part in parts if part is not None]


def _lost_parts(rows: LearningRows, lost: NDArray[np.bool_], width: int) -> list[TestedPart]:
    """The tests of rows whose settings nobody kept, by digest."""
    parts: list[TestedPart] = []
    for digest in rows.settings.unknown:
        members = lost & (rows.frame[DIGEST] == digest).fill_null(False).to_numpy()
        parts += _foreign(rows, members, width, f"settings {shown(digest[:12])}").parts()
    return parts


def _foreign(rows: LearningRows, of: NDArray[np.bool_], width: int, name: str) -> ForeignRows:
    lists = EligibleLists(rows.eligible_lists.group[of], rows.eligible_lists.distinct)
    return ForeignRows(rows.arms[of], rows.propensities[of], lists, width, name)


def _recomputed(rows: LearningRows, experiment: Experiment, control: pl.DataFrame | None) -> TestedPart | None:
    """A part if a draw contradicts its row, or if rows name settings that nobody kept."""
    space, settings = experiment.action_space, rows.settings
    found = [contradictions(rows.frame, space, settings)]
    if control is not None and control.height:
        found.append(contradictions(control, space, RowSettings.of(control, experiment, rows.explorations)))
    wrong, details = sum(each.count for each in found), [each.first for each in found if each.count]
    if wrong:
        checked = int(settings.recomputed.sum())
        detail = f"{wrong} rows are not what their draws give ({checked} explored rows recomputed): {details[0]}"
        return TestedPart(0.0, "recomputed", detail)
    if settings.unknown:
        digest, count = next(iter(settings.unknown.items()))
        detail = (
            f"{int(settings.lost.sum())} rows name exploration settings that are not kept here, such as {digest[:12]}…"
            f" ({count} rows): their draws are not recomputed"
        )
        return TestedPart(1.0, "recomputed", detail)
    return None


def _contradictions(rows: LearningRows, shares: NDArray[np.float64], odd: NDArray[np.bool_]) -> TestedPart | None:
    if not odd.any():
        return None
    first = int(np.flatnonzero(odd)[0])
    request_id = rows.frame["request_request_id"][first]
    detail = (
        f"{odd.sum()} of {rows.count} rows were not drawn as they declare (if another policy drew them, log their"
        f" probabilities): request {request_id!r} has the propensity {rows.propensities[first]:g}, but its distribution"
        f" gives {shares[first]:g}"
    )
    return TestedPart(0.0, "declared", detail)
