"""Where a run starts from: the newest sound checkpoint of the same contract, or nothing."""

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from event_schemas.experiment import Experiment
from feature_contract import FeatureContract, known_contracts
from learner.checkpoints.checkpoint import OPTIMISER_FILE, CheckpointShelf
from learner.examples.learner_errors import CheckpointBroken, LineageOverlap
from learner.examples.training_window import Ancestor, WindowBounds, require_disjoint
from learner.judgement.gate import Verdict
from learner.network.algorithm import Algorithm
from learner.network.tensor_file import read_tensors
from policy_store.records.checkpoint_record import WEIGHTS_BLOB, CheckpointManifest

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Start:
    """`parent` None means a cold start; `why` says why for people. `lineage`: the parent and its ancestors."""

    algorithm: Algorithm
    parent: str | None
    lineage: tuple[Ancestor, ...]
    why: str


def start_from(
    make: Callable[[], Algorithm],
    shelf: CheckpointShelf,
    bounds: WindowBounds,
    contract: tuple[Experiment, FeatureContract],
) -> Start:
    """A fresh algorithm of `make`, restored from the newest checkpoint that may be continued.

    A fault in one checkpoint means the one before it, and at last a cold start.

    Not continued: other experiments, action spaces, features, objectives or algorithms; refused checkpoints; and a
    lineage that was trained on outcomes inside the hold-out.
    """
    why = "no earlier checkpoint on this machine"
    for version in reversed(shelf.versions()):
        try:
            manifest = shelf.manifest(version)
            unfit = _unfit(manifest, *contract)
            if unfit is not None:
                why = f"{version}: {unfit}"
                continue
            lineage = lineage_of(manifest)
            require_disjoint(bounds, lineage)
            checkpoint, algorithm = shelf.load(version), make()
            algorithm.restore(
                read_tensors(checkpoint.blobs[WEIGHTS_BLOB], f"{version}/{WEIGHTS_BLOB}"),
                read_tensors(checkpoint.optimiser, f"{version}/{OPTIMISER_FILE}"),
            )
            return Start(algorithm, version, lineage, f"continues {version}")
        except (CheckpointBroken, LineageOverlap) as fault:
            why = fault.what
            log.warning("checkpoint not continued", version=version, fault=fault.what)
    return Start(make(), None, (), f"cold: {why}")


def lineage_of(manifest: CheckpointManifest) -> tuple[Ancestor, ...]:
    """The checkpoint itself and all it goes back to; raises CheckpointBroken when the manifest does not say."""
    try:
        window = manifest.window
        return (
            Ancestor(manifest.version, int(window["train_to"]), int(window["embargo_ms"])),
            *(Ancestor.from_dict(entry) for entry in window["lineage"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as fault:
        raise CheckpointBroken(
            f"checkpoint {manifest.version} does not name its lineage: {fault!r}", fix="start cold"
        ) from fault


def holdout_start(manifest: CheckpointManifest) -> int:
    """The first event time that the checkpoint was not trained on; raises CheckpointBroken."""
    try:
        return int(manifest.window["holdout_from"])
    except (KeyError, TypeError, ValueError, OverflowError) as fault:
        raise CheckpointBroken(
            f"checkpoint {manifest.version} does not say what it was trained on: {fault!r}", fix="train again"
        ) from fault


def next_look(shelf: CheckpointShelf) -> int:
    """The number of the coming look at a hold-out, from 1: one more than any checkpoint kept here has used."""
    looks = [0]
    for version in shelf.versions():
        try:
            looks.append(int(shelf.manifest(version).evaluation.get("look", 0)))
        except (CheckpointBroken, TypeError, ValueError, OverflowError) as fault:
            log.warning("look not counted", version=version, fault=str(fault))
    return max(looks) + 1


def _unfit(manifest: CheckpointManifest, experiment: Experiment, contract: FeatureContract) -> str | None:
    """Why this checkpoint must not be continued, else None."""
    if manifest.verdict == Verdict.REFUSE:
        return "the gate refused it"
    known = known_contracts(experiment).get(manifest.feature_contract)
    if known is not None and known.encoding != contract.encoding:
        return f"it was trained with version {known.encoding} of the feature encoding, not {contract.encoding}"
    expected = {
        "experiment": (manifest.experiment, experiment.name),
        "action space": (manifest.action_space, experiment.action_space.digest),
        "features": (manifest.feature_contract, contract.digest),
        "objectives": (tuple(manifest.objectives), experiment.objective_names),
        "algorithm": (manifest.algorithm, experiment.learner.algorithm),
    }
    differing = [name for name, (found, wanted) in expected.items() if found != wanted]
    return f"it is of another {', '.join(differing)}" if differing else None
