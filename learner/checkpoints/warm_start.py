"""Chooses where a run starts: from the newest intact checkpoint with the same contract, or cold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import structlog

from event_schemas.experiment import Experiment
from feature_contract import FeatureContract, known_contracts
from learner.checkpoints.checkpoint import OPTIMISER_FILE, CheckpointShelf
from learner.examples.learner_errors import CheckpointBroken, LineageOverlap
from learner.examples.training_window import Ancestor, WindowBounds, require_disjoint
from learner.judgement.gate import Verdict
from learner.network.tensor_file import read_tensors
from policy_store.records import WEIGHTS_BLOB, CheckpointManifest

if TYPE_CHECKING:
    from learner.network.algorithm import Algorithm

LINEAGE_KEPT = 100
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Start:
    """`parent` None means a cold start; `why` is the reason, for people. `lineage` is the parent and its ancestors."""

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
    """A new algorithm from `make`, restored from the newest checkpoint that may be continued.

    An algorithm that does not continue an earlier state starts cold. If a checkpoint is broken, the one before it is
    tried, and if none is left, the start is cold.

    A checkpoint is not continued if its experiment, action space, features, objectives or algorithm differ, if the gate
    refused it, or if its lineage was trained on outcomes inside the hold-out.
    """
    fresh = make()
    if not fresh.continues:
        return Start(fresh, None, (), f"cold: {fresh.name} depends on its training window alone")
    why = "no earlier checkpoint on this machine"
    for version in reversed(shelf.versions()):
        try:
            manifest = shelf.manifest(version)
            unfit = unfit_to_continue(manifest, *contract)
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
    return Start(fresh, None, (), f"cold: {why}")


def lineage_of(manifest: CheckpointManifest) -> tuple[Ancestor, ...]:
    """The checkpoint and its ancestors, the youngest first; raises CheckpointBroken if the manifest does not name them.

    Of more than LINEAGE_KEPT, the youngest are kept and the one of the rest whose outcomes extend furthest: whether any
    of them reaches into a hold-out stays the same, and manifests do not grow with every run. As the rest may have
    learnt from whatever was forgotten since, that one has no mark.
    """
    try:
        window = manifest.window
        lineage = (
            Ancestor(manifest.version, int(window["train_to"]), int(window["embargo_ms"]), *_forgotten_before(window)),
            *(Ancestor.from_dict(entry) for entry in window["lineage"]),
        )
        kept, rest = lineage[:LINEAGE_KEPT], lineage[LINEAGE_KEPT:]
        oldest = [replace(max(rest, key=lambda each: each.outcomes_to), forgotten=0)] if rest else []
        return (*kept, *oldest)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as fault:
        raise CheckpointBroken(
            f"checkpoint {manifest.version} does not name its lineage: {fault!r}", fix="start cold"
        ) from fault


def _forgotten_before(window: Mapping[str, Any]) -> tuple[int, str | None]:
    """(0, None) for a checkpoint of a release without `trimtab forget`."""
    mark = window.get("forgotten", {})
    return int(mark.get("last", 0)), mark.get("list")


def holdout_start(manifest: CheckpointManifest) -> int:
    """The start of the checkpoint's hold-out; raises CheckpointBroken."""
    try:
        return int(manifest.window["holdout_from"])
    except (KeyError, TypeError, ValueError, OverflowError) as fault:
        raise CheckpointBroken(
            f"checkpoint {manifest.version} does not name its hold-out: {fault!r}", fix="train again"
        ) from fault


def unfit_to_continue(manifest: CheckpointManifest, experiment: Experiment, contract: FeatureContract) -> str | None:
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
    return f"it has another {', '.join(differing)}" if differing else None
