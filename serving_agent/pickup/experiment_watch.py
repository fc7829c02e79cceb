"""Follows the online experiments that people have started, and loads what their arms serve."""

from collections.abc import Mapping
from typing import Any

from event_schemas.errors import TrimtabError
from event_schemas.experiment import Experiment
from event_schemas.experiment_coins import arm_label
from event_schemas.units import MINUTE_MS
from policy_store.backends import PolicyStore
from policy_store.decisions import TrustRule, verify_record
from policy_store.records import (
    CANARY_ARM,
    CANARY_PREFIX,
    CONTROL_ARM,
    EXPERIMENTS_SLOT,
    ExperimentArm,
    ExperimentsRecord,
    ObjectiveWeights,
    OnlineExperiment,
    ReaderMemory,
    SignedRecord,
    StoreRefused,
    StoreUnreachable,
    canary_shares,
    weights_of,
)
from serving_agent.decide.loaded_policy import LoadedPolicy
from serving_agent.decide.online_experiments import LoadedArm, LoadedExperiment
from serving_agent.pickup.arm_pickup import ArmPickup
from serving_agent.pickup.checkpoint_pickup import PickupVerdict
from serving_agent.pickup.snapshot_disk import SavedExperiments, SavedSnapshot

RAISE_DELAY_MS = 5_000
"""How long after a node has heard of a raised log rate it logs at that rate: readers of `explorations` must know the
rate before the first engagement with such a request."""
KNOWN_AFTER_MS = 2 * MINUTE_MS
"""Once an experiment has run for so long, other nodes have told its log rate: a node that comes later uses it at once,
so that a restart cuts no user's day in two."""
FOREVER = 2**53 - 1


class ExperimentWatch:
    """The experiments this node has accepted, the canary among them. Used by one thread.

    `fault` says why the newest record was not accepted; the last good one stays in force.
    """

    def __init__(
        self, experiment: Experiment, rule: TrustRule, arms: ArmPickup, memory: ReaderMemory | None = None
    ) -> None:
        """`memory` holds the revisions the node remembers; if left out, the watch has its own."""
        self.fault: str | None = None
        self.signed: SignedRecord | None = None
        self.memory = ReaderMemory() if memory is None else memory
        self._experiment, self._rule, self._arms = experiment, rule, arms
        self._record: ExperimentsRecord | None = None
        self._heard: dict[str, int] = {}
        self.news: list[tuple[str, PickupVerdict]] = []
        """Verdicts on checkpoints of arms that nobody has been told of."""

    def poll(self, store: PolicyStore, now_ms: int) -> bool:
        """Reads the record, and the checkpoints that its arms name; True when something changed.

        Raises StoreUnreachable and StoreRefused.
        """
        before = (self.signed, self.fault, self._arms.verdicts)
        try:
            self._accept(store.experiments(), now_ms)
            self.fault = None
        except (StoreUnreachable, StoreRefused):
            raise
        except TrimtabError as fault:
            self.fault = str(fault)
        for version in self._versions(now_ms):
            verdict = self._arms.judge(store, version)
            if verdict is not None:
                self.news.append((version, verdict))
        return before != (self.signed, self.fault, self._arms.verdicts)

    def running(self, now_ms: int, canary: LoadedPolicy | None = None, since: int = 0) -> tuple[LoadedExperiment, ...]:
        """The experiments that have not ended, those that started first in front; `canary` began to serve at `since`.

        All times are in epoch ms.
        """
        experiments = [self._loaded(each, now_ms) for each in self._planned(now_ms)]
        if canary is not None and self._experiment.serving.canary_share > 0:
            experiments.append(self._canary(canary, since, now_ms))
        self._heard = {each.id: self._heard[each.id] for each in experiments}
        return tuple(sorted(experiments, key=lambda each: (each.start, each.id)))

    @property
    def saved(self) -> SavedExperiments | None:
        """What belongs on the disk."""
        return None if self.signed is None else SavedExperiments(self.signed, self._arms.accepted)

    def restore(self, snapshot: SavedSnapshot) -> None:
        """Puts the saved experiments in force again.

        Raises TrimtabError; if only a checkpoint is at fault, all others are in force, and its arms fall back.
        """
        saved = snapshot.experiments
        if saved is None:
            return
        self._record = self._fitting(saved.record)
        self.signed = saved.record
        self.memory.recall(saved.record, self._record)
        faults = []
        for version, checkpoint in saved.checkpoints.items():
            try:
                self._arms.restore(version, checkpoint)
            except TrimtabError as fault:
                faults.append(fault)
        if faults:
            raise faults[0]

    def policies(self) -> tuple[LoadedPolicy, ...]:
        """The accepted policies of all arms."""
        policies = [verdict.policy for verdict in self._arms.verdicts.values()]
        return tuple(policy for policy in policies if policy is not None)

    def told(self) -> Mapping[str, Any]:
        """The experiments' part of a heartbeat: by checkpoint of an arm, how its pick-up ended."""
        return {
            "revision": None if self._record is None else self._record.revision,
            "checkpoints": {
                version: {"result": verdict.result.value, "notes": list(verdict.notes)}
                for version, verdict in self._arms.verdicts.items()
            },
        }

    def _accept(self, signed: SignedRecord | None, now_ms: int) -> None:
        if signed is None:
            self.memory.require_never_seen(EXPERIMENTS_SLOT)
        elif signed != self.signed:
            record = self._fitting(signed)
            self.memory.require_acceptable(signed, record, now_ms)
            self.signed, self._record = signed, record
            self.memory.accept(record)
            self._arms.look_again()

    def _fitting(self, signed: SignedRecord) -> ExperimentsRecord:
        """The verified record, if the preferences of its arms fit this file's objectives; raises TrimtabError."""
        record = verify_record(signed, ExperimentsRecord, self._rule)
        for each in record.running:
            for arm in each.arms:
                self._preference(arm, record.revision)
        return record

    def _planned(self, now_ms: int) -> list[OnlineExperiment]:
        running = () if self._record is None else self._record.running
        return [each for each in running if now_ms < each.planned_end + MINUTE_MS]

    def _versions(self, now_ms: int) -> list[str]:
        versions = list(dict.fromkeys(version for each in self._planned(now_ms) for version in each.versions))
        self._arms.forget_all_but(versions)
        return versions

    def _loaded(self, planned: OnlineExperiment, now_ms: int) -> LoadedExperiment:
        arms = tuple(
            LoadedArm(
                label=arm_label(planned.id, arm.name),
                share=arm.share,
                follows=arm.version is None,
                policy=None if arm.version is None else self._arms.policy(arm.version),
                preference=self._preference(arm, 0 if self._record is None else self._record.revision),
            )
            for arm in planned.arms
        )
        logs_from = self._logs_from(planned.id, planned.start, now_ms)
        return LoadedExperiment(
            planned.id, planned.share, arms, planned.start, planned.planned_end, planned.log_rate, logs_from
        )

    def _canary(self, canary: LoadedPolicy, since: int, now_ms: int) -> LoadedExperiment:
        experiment_id, serving = f"{CANARY_PREFIX}{canary.version}", self._experiment.serving
        share, of_canary = canary_shares(serving.canary_share)
        arms = (
            LoadedArm(arm_label(experiment_id, CANARY_ARM), of_canary, follows=False, policy=canary),
            LoadedArm(arm_label(experiment_id, CONTROL_ARM), 1.0 - of_canary),
        )
        logs_from = self._logs_from(experiment_id, since, now_ms)
        return LoadedExperiment(
            experiment_id, share, arms, min(since, now_ms), FOREVER, serving.experiment_log_rate, logs_from
        )

    def _logs_from(self, experiment_id: str, start: int, now_ms: int) -> int:
        heard = self._heard.setdefault(experiment_id, now_ms)
        return start if heard >= start + KNOWN_AFTER_MS else max(start, heard + RAISE_DELAY_MS)

    def _preference(self, arm: ExperimentArm, revision: int) -> ObjectiveWeights | None:
        """The weights of the arm's own preference; raises ContractMismatch if they do not fit the objectives."""
        if arm.preference is None:
            return None
        return ObjectiveWeights(revision, weights_of(arm.preference, self._experiment))
