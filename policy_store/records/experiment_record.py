"""Online experiments: which users get which checkpoint or preference, for how long, and what is watched meanwhile.

One record names all experiments that run, so that nobody can remove one unseen: a reader that saw a later revision
refuses an earlier one. `event_schemas.experiment_coins` draws the users.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from policy_store.records.governed_record import GovernedRecord, Name, Revision, field_problems
from policy_store.records.preference_record import PreferenceTarget
from policy_store.records.store_errors import RecordMalformed

EXPERIMENTS_SLOT = "experiments"
CANARY_PREFIX = "canary-"
"""Ids that begin so belong to canaries: a canary of the channel record for VERSION is the experiment canary-VERSION."""
CANARY_ARM, CONTROL_ARM = "canary", "control"
MOST_RUNNING = 20
MOST_ARMS = 16
_SUM_TOLERANCE = 1e-9
ArmName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_.-]{0,63}$")]
PositiveShare = Annotated[float, Field(gt=0.0, le=1.0, allow_inf_nan=False)]


class ExperimentArm(BaseModel):
    """One arm: `share` of the experiment's users, the checkpoint and the preference that serve them.

    Without a `version` it is what `channel:stable` serves, without a `preference` the one in force.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: ArmName
    share: PositiveShare
    version: Name | None = None
    preference: PreferenceTarget | None = None


class OnlineExperiment(BaseModel):
    """An experiment on `share` of all users, from `start` until `planned_end` (epoch ms), between two arms or more.

    `control` names the arm that the others are compared with. `guardrails` are the outcomes that must not get worse.
    While it runs, all nodes log POLICY and FALLBACK requests with at least `log_rate`, whoever the user is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    id: Name
    share: PositiveShare
    arms: Annotated[tuple[ExperimentArm, ...], Field(min_length=2, max_length=MOST_ARMS)]
    control: ArmName
    start: Revision
    planned_end: Revision
    log_rate: PositiveShare = 1.0
    guardrails: tuple[Annotated[str, Field(min_length=1)], ...] = ()

    @model_validator(mode="after")
    def _arms_fit_together(self) -> Self:
        name, count = Counter(arm.name for arm in self.arms).most_common(1)[0]
        if count > 1:
            raise ValueError(f"{count} arms have the name {name!r}")
        if self.control not in {arm.name for arm in self.arms}:
            raise ValueError(f"control {self.control!r} is not one of the arms")
        total = math.fsum(arm.share for arm in self.arms)
        if abs(total - 1.0) > _SUM_TOLERANCE:
            raise ValueError(f"the arms' shares of the experiment's users sum to {total:g}, not 1")
        if self.planned_end <= self.start:
            raise ValueError("planned_end must be after start")
        return self

    @classmethod
    def of(cls, **fields: Any) -> Self:
        """The experiment with these fields. Raises a RecordMalformed that names the field."""
        try:
            return cls(**fields)
        except ValidationError as error:
            raise RecordMalformed(f"the experiment: {field_problems(error)}", fix="correct the value") from error

    @property
    def versions(self) -> tuple[str, ...]:
        """The checkpoints that its arms name, each once."""
        return tuple(dict.fromkeys(arm.version for arm in self.arms if arm.version is not None))


class ExperimentsRecord(GovernedRecord):
    """All experiments that run, or will; a user who falls into several is in the one that started first."""

    kind: Literal["experiments"] = "experiments"
    running: Annotated[tuple[OnlineExperiment, ...], Field(max_length=MOST_RUNNING)]

    @property
    def slot(self) -> str:
        """`experiments`."""
        return EXPERIMENTS_SLOT

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        ids = [each.id for each in self.running]
        if len(ids) != len(set(ids)):
            raise ValueError(f"ids must be unique, not {ids}")
        return self


def canary_shares(canary_share: float) -> tuple[float, float]:
    """How a canary is drawn: the share of all users that its experiment has, and the canary's share of those.

    The control gets as many users as the canary, or the rest of them where there are fewer. `canary_share` is above 0.
    """
    share = min(2.0 * canary_share, 1.0)
    return share, canary_share / share
