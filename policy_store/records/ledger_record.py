"""The ledger of concluded online experiments: signed entries, each naming the one before it by its hash.

Entries are only ever added, and their number is not limited. `verify_ledger` notices one that was changed, removed from
the middle, or put in.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from policy_store.records.experiment_record import MOST_ARMS, ArmName, PositiveShare
from policy_store.records.governed_record import GovernedRecord, Name, Revision, Sha256
from policy_store.records.preference_record import PreferenceTarget

LEDGER_SLOT = "ledger"
MOST_OUTCOMES = 100
Number = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]
Verdict = Literal["adopted", "rejected", "inconclusive", "stopped"]
"""What people made of an experiment; `stopped`: it ended before it could tell anything."""


class LedgerOutcome(BaseModel):
    """One outcome that was compared: an objective, signal or guardrail of the experiment file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Annotated[str, Field(min_length=1)]
    role: Literal["optimise", "signal", "guardrail"]
    per: Literal["request", "session", "user-day"] = "request"


class LedgerArm(BaseModel):
    """What one arm showed, by intention to treat; `off_policy.arm_comparison` has the formulas.

    users, rows  distinct users and logged requests
    means        mean of each outcome in its own units, in the order of the entry's outcomes; null where unknown
    deltas       differences from the control arm, in the same order; null where unknown, and for the control itself
    covariance   of the deltas, by row; null in the rows and columns of unknown ones. The control has that of its means
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: ArmName
    share: PositiveShare
    version: Name | None = None
    preference: PreferenceTarget | None = None
    users: Count
    rows: Count
    means: tuple[Number | None, ...]
    deltas: tuple[Number | None, ...]
    covariance: tuple[tuple[Number | None, ...], ...]


class LedgerRecord(GovernedRecord):
    """An experiment that was concluded: requests from `start` until before `end` (epoch ms) count.

    `previous` is the SHA-256 of the entry before; null for the first one.
    """

    kind: Literal["ledger"] = "ledger"
    previous: Sha256 | None = None
    id: Name
    control: ArmName
    start: Revision
    end: Revision
    outcomes: Annotated[tuple[LedgerOutcome, ...], Field(max_length=MOST_OUTCOMES)]
    arms: Annotated[tuple[LedgerArm, ...], Field(min_length=2, max_length=MOST_ARMS)]
    sample_ratio_p: Annotated[float, Field(ge=0.0, le=1.0)] | None = None
    verdict: Verdict
    winner: ArmName | None = None

    @property
    def slot(self) -> str:
        """`ledger`."""
        return LEDGER_SLOT

    @model_validator(mode="after")
    def _arms_have_every_outcome(self) -> Self:
        names, count = {arm.name for arm in self.arms}, len(self.outcomes)
        if self.control not in names:
            raise ValueError(f"control {self.control!r} is not one of the arms")
        if (self.winner is None) != (self.verdict != "adopted") or (self.winner or self.control) not in names:
            raise ValueError("winner names the arm that was adopted, and only that")
        for arm in self.arms:
            square = len(arm.covariance) == count and all(len(row) == count for row in arm.covariance)
            if not (square and len(arm.means) == len(arm.deltas) == count):
                raise ValueError(f"arm {arm.name!r} does not have {count} means, deltas and rows of covariance")
        if self.end < self.start:
            raise ValueError("end must not be before start")
        return self
