"""Builds the checkpoint of a finished run, with its manifest."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from event_schemas.experiment import Experiment
from event_schemas.section_digests import section_digests
from feature_contract import FeatureContract
from learner.checkpoints.checkpoint import Checkpoint, version_id
from learner.checkpoints.warm_start import Start
from learner.examples.learning_rows import LearningRows
from learner.examples.row_digest import row_digest, rows_by_day
from learner.examples.training_window import LearningWindow
from learner.judgement.evaluation import ESTIMATOR, Evaluation
from learner.judgement.gate import GateVerdict
from learner.judgement.gate_budget import GateBudget
from learner.judgement.reference_sketches import (
    REFERENCE_ROWS,
    q_head_sketches,
    q_reference_rows,
    ranker_head_sketches,
    sketches_as_dict,
)
from learner.network.tensor_file import write_tensors
from learner.network.training_progress import TrainingReport
from policy_store.records import EVALUATION_BLOB, POLICY_BLOB, WEIGHTS_BLOB, CheckpointManifest, describe_blobs

if TYPE_CHECKING:
    from learner.network.linear_rival import LinearRival

RIVAL = ("rows", "loss", "linear_loss", "ahead", "standard_error", "wins", "sentence")
"""What `LinearRival` tells."""


@dataclass(frozen=True, eq=False)
class FinishedRun:
    """Everything that goes into a checkpoint: `number` counts runs from 1; `budget` is the gate's after this run.

    `sources` is the digest of the tallies and exploration settings that it read beside the rows.
    `rival` compares what was trained with a linear fit.
    """

    number: int
    window: LearningWindow
    start: Start
    training: TrainingReport
    graph: bytes
    evaluation: Evaluation
    verdict: GateVerdict
    budget: GateBudget
    sources: str
    rival: LinearRival | None = None


def build_checkpoint(
    run: FinishedRun, experiment: Experiment, contract: FeatureContract, now_ms: int, named_at: int
) -> Checkpoint:
    """`named_at` (epoch ms) is the time in the version's name. Raises CheckpointBroken if a weight is not finite."""
    spent = {"budget": run.budget.as_dict()}
    told = {"gate": run.verdict.as_dict(), "linear_rival": None if run.rival is None else run.rival.as_dict()}
    blobs = {
        POLICY_BLOB: run.graph,
        WEIGHTS_BLOB: write_tensors(run.start.algorithm.weights()),
        EVALUATION_BLOB: json.dumps(run.evaluation.as_dict() | told | spent).encode(),
    }
    manifest = CheckpointManifest(
        version=version_id(named_at, blobs),
        experiment=experiment.name,
        created_at=now_ms,
        algorithm=run.start.algorithm.name,
        answer=run.start.algorithm.answer,
        action_space=experiment.action_space.digest,
        arms=experiment.action_space.arms,
        objectives=list(experiment.objective_names),
        feature_contract=contract.digest,
        feature_spec=contract.as_dict(),
        window=window_summary(run),
        parent=run.start.parent,
        evaluation=evaluation_summary(run.evaluation, run.verdict) | {"run": run.number} | spent,
        blobs=describe_blobs(blobs),
        reference=reference_sketches(run, experiment),
        policy={"alpha_objective": experiment.preference.alpha_objective},
        section_digests=section_digests(experiment),
    )
    return Checkpoint(manifest, blobs, write_tensors(run.start.algorithm.optimiser()))


def told_rival(checkpoint: Checkpoint) -> dict[str, Any] | None:
    """How a linear fit compares with the checkpoint, as its evaluation has it; None if it was not compared.

    Also None for an evaluation of an earlier release, or that another tool wrote.
    """
    try:
        told = json.loads(checkpoint.blobs[EVALUATION_BLOB])["linear_rival"]
        return None if told is None else {name: told[name] for name in RIVAL}
    except (ValueError, KeyError, TypeError):
        return None


def window_summary(run: FinishedRun) -> dict[str, Any]:
    """The training and hold-out spans, how the run started, its lineage, and where `previous` came from, if used."""
    previous = run.window.previous
    return run.window.bounds.as_dict() | {
        "examples": run.window.training.count,
        "holdout_examples": run.window.holdout.count,
        "left_out": run.window.left_out,
        "sources": run.sources,
        "start": run.start.why,
        "lineage": [asdict(ancestor) for ancestor in run.start.lineage],
        "losses": list(run.training.losses),
        "steps": run.training.steps,
        "threads": run.training.threads,
        "training_rows": {"digest": row_digest(run.window.training), "days": dict(rows_by_day(run.window.training))},
        "validation_rows": 0 if run.rival is None else run.rival.rows,
        "forgotten": run.window.forgotten.mark(),
        **({} if previous is None else {"previous": asdict(previous)}),
    }


def evaluation_summary(evaluation: Evaluation, verdict: GateVerdict) -> dict[str, Any]:
    """The verdict and the lifts on which it is based; evaluation.json has the rest."""
    evidence, judgement, look = evaluation.evidence, evaluation.judgement, evaluation.look
    return verdict.as_dict() | {
        "look": None if look is None else look.number,
        "share": None if look is None else look.share,
        "estimator": ESTIMATOR,
        "rows": 0 if judgement is None else judgement.rows,
        "baseline": evidence.over if evidence.production_lifts else evaluation.selection.baseline.name,
        "proposal": evaluation.proposal,
        "preference": evaluation.preference.as_dict(),
        "lifts": {name: lift.as_dict() for name, lift in evidence.lifts.items()},
        "guardrail_lifts": {name: lift.as_dict() for name, lift in evidence.guardrail_lifts.items()},
        "log_p_value": evaluation.soundness.p_value,
        "log_verdict": evaluation.soundness.verdict.value,
    }


def reference_sketches(run: FinishedRun, experiment: Experiment) -> dict[str, Any]:
    """`ranker_heads` and `q_heads` over the newest rows of the window, from the hold-out if it is large enough."""
    rows = _newest(run.window)
    newest = q_reference_rows(rows.count, experiment.action_space.arms)
    q: NDArray[np.float32] = run.start.algorithm.score(rows.inputs.take(newest))
    return {
        "ranker_heads": sketches_as_dict(ranker_head_sketches(rows.frame)),
        "q_heads": sketches_as_dict(q_head_sketches(q, experiment.objective_names)),
    }


def _newest(window: LearningWindow) -> LearningRows:
    """The newest rows, at most REFERENCE_ROWS, of the hold-out if it is large enough, else of the training rows."""
    rows = window.holdout if window.holdout.count >= REFERENCE_ROWS // 10 else window.training
    return rows.take(np.arange(max(rows.count - REFERENCE_ROWS, 0), rows.count))
