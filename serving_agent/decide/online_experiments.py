"""The online experiments that run on this node, and which arm of them serves a user."""

from collections.abc import Sequence
from dataclasses import dataclass

from event_schemas.experiment_coins import arm_index, is_member
from event_schemas.units import HOUR_MS
from event_schemas.user_ids import person
from policy_store.records import ObjectiveWeights
from serving_agent.decide.loaded_policy import LoadedPolicy

TOLD_AHEAD_MS = HOUR_MS
"""How long before a raised log rate holds readers of `explorations` are told: far longer than a node takes to tell."""


@dataclass(frozen=True, slots=True, eq=False)
class LoadedArm:
    """One arm, `share` of the experiment's users; `label` is what is logged.

    An arm that `follows` serves what the stable channel does. Another one serves `policy`, which is None while this
    node has not accepted the arm's checkpoint. Without a `preference` the one in force holds.
    """

    label: str
    share: float
    follows: bool = True
    policy: LoadedPolicy | None = None
    preference: ObjectiveWeights | None = None


@dataclass(frozen=True, slots=True, eq=False)
class LoadedExperiment:
    """An experiment on `share` of all users between `start` and `end` (epoch ms).

    From `logs_from` until its end all nodes log POLICY and FALLBACK requests with at least `log_rate`.
    """

    id: str
    share: float
    arms: tuple[LoadedArm, ...]
    start: int
    end: int
    log_rate: float
    logs_from: int

    def arm_of(self, salt: str, user: str) -> LoadedArm | None:
        """The arm of a user; None for one who is not in the experiment."""
        if not is_member(salt, self.id, user, self.share):
            return None
        return self.arms[arm_index(salt, self.id, user, [arm.share for arm in self.arms])]


def arm_for(experiments: Sequence[LoadedExperiment], salt: str, user_id: str | None, at_ms: int) -> LoadedArm | None:
    """The user's arm in the first of the experiments that has the user at this time: nobody is in two at once.

    None without a user, and for a placeholder such as `null`, which is no one person.
    """
    if not experiments or (user := person(user_id)) is None:
        return None
    for each in experiments:
        if each.start <= at_ms < each.end and (arm := each.arm_of(salt, user)) is not None:
            return arm
    return None


def raised_log_rate(experiments: Sequence[LoadedExperiment], at_ms: int) -> float:
    """The highest log rate that an experiment asks for at this time; 0 without any."""
    if not experiments:
        return 0.0
    return max((each.log_rate for each in experiments if each.logs_from <= at_ms < each.end), default=0.0)


def told_log_rates(experiments: Sequence[LoadedExperiment], at_ms: int, ahead_ms: int = TOLD_AHEAD_MS) -> set[float]:
    """The log rates that hold at this time, or will within `ahead_ms`, or have just held.

    Readers take a rate that they were told for one that held before, too. So one that holds next week is not told yet:
    engagements with requests that nobody logs would pass the bridge until then.
    """
    return {each.log_rate for each in experiments if each.logs_from - ahead_ms <= at_ms}
