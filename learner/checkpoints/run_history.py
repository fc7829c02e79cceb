"""What is known of earlier runs: their number, the gate's budget, and which verdict stands.

The checkpoints kept here say it, and the account in the policy store, which has the runs of all learners. Whichever
knows more counts: a wiped data directory, a second one, or an emptied store gets no look again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from event_schemas.errors import TrimtabError
from event_schemas.experiment import Experiment
from event_schemas.section_digests import section_digests
from learner.checkpoints.checkpoint import Checkpoint, CheckpointShelf
from learner.checkpoints.trained_checkpoints import inherited_from_gone
from learner.checkpoints.warm_start import holdout_start
from learner.examples.learner_errors import CheckpointBroken
from learner.examples.training_window import LearningWindow
from learner.judgement.gate_budget import GateBudget, PastLook, Setting, gate_settings
from policy_store.records import CheckpointManifest, ObjectiveWeights

EVALUATION_FAULTS = (TrimtabError, KeyError, TypeError, ValueError, AttributeError, OverflowError)
"""What reading the evaluation of a damaged or foreign manifest raises."""
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LastRun:
    """The newest run that this machine or the policy store knows of: number, checkpoint, and the budget after it."""

    number: int
    version: str
    budget: GateBudget


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """What the next run would train on and judge; `sources` is the digest of `sources_digest`."""

    window: LearningWindow
    experiment: Experiment
    preference: ObjectiveWeights
    budget: GateBudget
    sources: str

    def repeats(self, manifest: CheckpointManifest) -> bool:
        """Whether it could only repeat the run of this checkpoint, which then stands.

        No held-out row is newer, all settings are the same, none of its training rows was forgotten since, and it would
        take no look that the other did not take: the other took one, or none is due, or tallies and exploration
        settings are the same. Raises KeyError, TypeError or ValueError for a malformed manifest, also one of version
        0.1.0.
        """
        told, window = manifest.evaluation, manifest.window
        same = (
            "budget" in told
            and ObjectiveWeights.from_dict(told["preference"]) == self.preference
            and manifest.section_digests == section_digests(self.experiment)
        )
        times, bounds = self.window.holdout.event_times, self.window.bounds
        nothing_new = len(times) == 0 or int(times[-1]) < int(window["holdout_to"])
        looked = told["look"] is not None
        due = self.budget.look_at(bounds.holdout_from, bounds.holdout_to) is not None
        repeated = same and nothing_new and (looked or not due or window.get("sources") == self.sources)
        return repeated and not self.window.forgotten.learnt(window)


@dataclass(frozen=True, slots=True)
class RunHistory:
    """The runs so far: those of the checkpoints in `shelf`, and the last one that the store knows of, of any learner.

    `stored` is None before the first run. `fetch` reads a version kept here or in the store, and raises a TrimtabError
    if it cannot. Without a store both are None.
    """

    shelf: CheckpointShelf
    stored: LastRun | None = None
    fetch: Callable[[str], Checkpoint] | None = None

    def next_run(self) -> int:
        """The number of the next run, from 1."""
        return max(next_run(self.shelf), 1 if self.stored is None else self.stored.number + 1)

    def budget(self, experiment: Experiment) -> GateBudget:
        """The gate's budget before the next run; says in the log if one of the two knows less than the other."""
        settings, newest = gate_settings(experiment), self.here(experiment)
        here = GateBudget(settings) if newest is None else newest.budget
        if self.fetch is None and self.stored is None:
            return here.under(settings)
        stored = GateBudget(settings) if self.stored is None else self.stored.budget
        joined = stored.joined(here)
        for place, known in (("the policy store", stored), ("this machine", here)):
            if known.spent_in_all < joined.spent_in_all:
                log.warning(
                    "looks of the gate counted that one place does not know",
                    unknown_to=place,
                    spent_there=known.spent_in_all,
                    spent=joined.spent_in_all,
                )
        return joined.under(settings)

    def here(self, experiment: Experiment) -> LastRun | None:
        """The newest run by the checkpoints kept here, with the budget of the newest that can be read; None without."""
        for version in reversed(self.shelf.versions()):
            try:
                return LastRun(next_run(self.shelf) - 1, version, _budget_of(self.shelf.manifest(version), experiment))
            except EVALUATION_FAULTS as fault:
                log.warning("looks of the gate not read from a checkpoint", version=version, fault=str(fault))
        return None

    def load(self, version: str) -> Checkpoint:
        """A checkpoint kept here, else of the store. Raises CheckpointBroken, or the errors of `fetch`."""
        return self.shelf.load(version) if self.fetch is None else self.fetch(version)

    def standing(self, planned: PlannedRun) -> Checkpoint | None:
        """The newest checkpoint if a run could only repeat it; None also if it cannot be read.

        Of two runs of one number, of which another learner wrote the other to the account, that one counts. One that is
        not here any more, and continued a checkpoint that learnt from a forgotten user, does not stand: to delete both
        is how a person gets rid of what they learnt.
        """
        versions, stored = self.shelf.versions(), self.stored
        elsewhere = stored is not None and stored.version not in versions and stored.number >= next_run(self.shelf) - 1
        try:
            if elsewhere and stored is not None:
                if self.fetch is None:
                    return None
                found = self.fetch(stored.version)
                learnt = inherited_from_gone(found.manifest, planned.window.forgotten, versions)
                return found if planned.repeats(found.manifest) and not learnt else None
            if not versions or not planned.repeats(self.shelf.manifest(versions[-1])):
                return None
            return self.shelf.load(versions[-1])
        except EVALUATION_FAULTS:
            return None


def next_run(shelf: CheckpointShelf) -> int:
    """The number of the next run, from 1: one more than the highest of the checkpoints kept here."""
    runs = {version: shelf.run_number(version) for version in shelf.versions()}
    if unread := [version for version, run in runs.items() if run is None]:
        log.warning("runs not counted, because the manifests do not name them", versions=unread)
    return max((run or 0 for run in runs.values()), default=0) + 1


def budget_in_force(shelf: CheckpointShelf, experiment: Experiment, stored: LastRun | None = None) -> GateBudget:
    """The gate's budget before the next run, under the settings of `experiment`.

    By the checkpoints kept here, and by the last run that the store knows of.
    """
    return RunHistory(shelf, stored).budget(experiment)


def unjudged_from(shelf: CheckpointShelf, experiment: Experiment, stored: LastRun | None = None) -> int | None:
    """The event time (epoch ms) from which later looks may judge rows; None without a run that is known.

    After a look it is the end of its hold-out; before the first, the start of the newest run's.
    """
    last = budget_in_force(shelf, experiment, stored).last
    if last is not None:
        return last.holdout_to
    for version in reversed(shelf.versions()):
        try:
            return holdout_start(shelf.manifest(version))
        except CheckpointBroken:
            continue
    return None


def last_run_of(manifest: CheckpointManifest, experiment: Experiment) -> LastRun:
    """The run that made this checkpoint. Raises KeyError, TypeError, ValueError or AttributeError if malformed."""
    told = manifest.evaluation
    number = int(told["run"] if "run" in told else told["look"])
    return LastRun(number, manifest.version, _budget_of(manifest, experiment))


def _budget_of(manifest: CheckpointManifest, experiment: Experiment) -> GateBudget:
    """Raises KeyError, TypeError, ValueError or AttributeError if the manifest is malformed."""
    evaluation = manifest.evaluation
    if "budget" in evaluation:
        return GateBudget.from_dict(evaluation["budget"], manifest.version)
    return _budget_of_0_1_0(manifest, gate_settings(experiment))


def _budget_of_0_1_0(manifest: CheckpointManifest, settings: dict[str, Setting]) -> GateBudget:
    """Every run took a look then, of which the k-th spent 6 / (pi² k²) of the budget, whatever rows were new."""
    look = int(manifest.evaluation["look"])
    reached = int(manifest.window["holdout_to"])
    shares = [float(settings["error_budget"]) * 6.0 / (math.pi * k) ** 2 for k in range(1, look + 1)]
    last = PastLook(look, shares[-1], reached, str(manifest.evaluation["verdict"]), {}, manifest.version)
    return GateBudget(settings, spent=math.fsum(shares), first_look=reached, last=last)
