"""What the checkpoints kept here say of earlier runs: their number, the gate's budget, and which verdict stands."""

import math

import structlog

from event_schemas.experiment import Experiment
from event_schemas.section_digests import section_digests
from learner.checkpoints.checkpoint import Checkpoint, CheckpointShelf
from learner.checkpoints.warm_start import holdout_start
from learner.examples.learner_errors import CheckpointBroken
from learner.examples.training_window import LearningWindow
from learner.judgement.gate_budget import GateBudget, PastLook, gate_settings
from policy_store.records import CheckpointManifest, ObjectiveWeights

log = structlog.get_logger(__name__)


def next_run(shelf: CheckpointShelf) -> int:
    """The number of the next run, from 1: one more than the highest of the checkpoints kept here."""
    runs = {version: shelf.run_number(version) for version in shelf.versions()}
    if unread := [version for version, run in runs.items() if run is None]:
        log.warning("runs not counted, because the manifests do not name them", versions=unread)
    return max((run or 0 for run in runs.values()), default=0) + 1


def budget_in_force(shelf: CheckpointShelf, experiment: Experiment) -> GateBudget:
    """The gate's budget before the next run, under the settings of `experiment`.

    The newest checkpoint that can be read has it. If checkpoints were lost, so were their looks, and the log says so.
    """
    settings = gate_settings(experiment)
    for version in reversed(shelf.versions()):
        try:
            manifest = shelf.manifest(version)
            found = _budget_of(manifest, settings)
        except (CheckpointBroken, KeyError, TypeError, ValueError, AttributeError, OverflowError) as fault:
            log.warning("looks of the gate not read from a checkpoint", version=version, fault=str(fault))
            continue
        return found.under(settings)
    return GateBudget(settings)


def standing_checkpoint(
    shelf: CheckpointShelf, window: LearningWindow, experiment: Experiment, preference: ObjectiveWeights
) -> Checkpoint | None:
    """The newest checkpoint here if a run could only repeat it: no held-out row is newer, all settings are the same.

    None also if it is broken or of version 0.1.0.
    """
    versions = shelf.versions()
    if not versions:
        return None
    try:
        manifest = shelf.manifest(versions[-1])
        told, reached = manifest.evaluation, int(manifest.window["holdout_to"])
        same = (
            "budget" in told
            and ObjectiveWeights.from_dict(told["preference"]) == preference
            and manifest.section_digests == section_digests(experiment)
        )
        times = window.holdout.event_times
        nothing_new = len(times) == 0 or int(times[-1]) < reached
        return shelf.load(manifest.version) if same and nothing_new else None
    except (CheckpointBroken, KeyError, TypeError, ValueError, AttributeError):
        return None


def unjudged_from(shelf: CheckpointShelf, experiment: Experiment) -> int | None:
    """The event time (epoch ms) from which later looks may judge rows; None without a checkpoint that can be read.

    After a look it is the end of its hold-out; before the first, the start of the newest run's.
    """
    last = budget_in_force(shelf, experiment).last
    if last is not None:
        return last.holdout_to
    for version in reversed(shelf.versions()):
        try:
            return holdout_start(shelf.manifest(version))
        except CheckpointBroken:
            continue
    return None


def _budget_of(manifest: CheckpointManifest, settings: dict[str, float]) -> GateBudget:
    """Raises KeyError, TypeError, ValueError or AttributeError if the manifest is malformed."""
    evaluation = manifest.evaluation
    if "budget" in evaluation:
        return GateBudget.from_dict(evaluation["budget"], manifest.version)
    return _budget_of_0_1_0(manifest, settings)


def _budget_of_0_1_0(manifest: CheckpointManifest, settings: dict[str, float]) -> GateBudget:
    """Every run took a look then, of which the k-th spent 6 / (pi² k²) of the budget, whatever rows were new."""
    look = int(manifest.evaluation["look"])
    reached = int(manifest.window["holdout_to"])
    shares = [settings["error_budget"] * 6.0 / (math.pi * k) ** 2 for k in range(1, look + 1)]
    last = PastLook(look, shares[-1], reached, str(manifest.evaluation["verdict"]), {}, manifest.version)
    return GateBudget(settings, spent=math.fsum(shares), first_look=reached, last=last)
