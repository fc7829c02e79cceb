"""What the serving checkpoint chooses in stored requests, as its graph answers them on serving nodes."""

from dataclasses import replace

from event_schemas.errors import TrimtabError
from event_schemas.experiment import Experiment
from feature_contract import FeatureContract, known_contracts
from learner.checkpoints.graph_answers import GraphAnswers, served_arm_policy, why_unfit
from learner.checkpoints.serving_checkpoint import ServingCheckpoint
from learner.checkpoints.warm_start import lineage_of
from learner.examples.learner_errors import CheckpointBroken
from learner.examples.learning_rows import LearningRows, encoded_requests
from learner.judgement.serving_comparison import ServingPolicy
from off_policy.estimates import Refusal, RefusalCode
from policy_store.records import CheckpointManifest, ObjectiveWeights, judged_under


def serving_policy(
    serving: ServingCheckpoint,
    rows: LearningRows,
    experiment: Experiment,
    contract: FeatureContract,
    weights: ObjectiveWeights,
) -> ServingPolicy:
    """What the serving checkpoint chooses in `rows` under `weights`; `contract` is the encoding of the rows' inputs.

    Never raises a TrimtabError: a checkpoint that cannot answer has no policy.
    """
    checkpoint = serving.checkpoint
    if checkpoint is None:
        return ServingPolicy(None, None, serving.detail, production_serves=serving.stable_empty)
    version = checkpoint.version
    if experiment.action_space.kind == "box":
        return ServingPolicy(version, None, f"{version} is serving; policies over a box are compared with production")
    if not weights.declared:
        return ServingPolicy(version, None, f"{version} chooses by an approved preference, and there is none here")
    unfit = why_unfit(checkpoint.manifest, experiment)
    if unfit is not None:
        return ServingPolicy(version, None, f"{version} is serving and cannot be scored: {unfit}")
    try:
        encoded = _encoded(rows, known_contracts(experiment)[checkpoint.manifest.feature_contract], contract)
        answers = GraphAnswers(checkpoint, encoded, weights)
        policy = served_arm_policy(answers, encoded, experiment)
    except TrimtabError as fault:
        return ServingPolicy(version, None, f"{version} is serving and cannot be scored: {fault.what}")
    refusal, detail = _trained_on(rows, checkpoint.manifest), serving.detail
    if answers.gives_way.any():
        share = answers.gives_way.mean()
        detail += f"; it is pinned to another preference than the one in force: production serves {share:.0%} of rows"
    if refusal is not None:
        detail += f"; {refusal.reason}"
    same = judged_under(weights, checkpoint.manifest.evaluation) and not answers.gives_way.any()
    return ServingPolicy(version, replace(policy, name=version), detail, refusal, same)


def _encoded(rows: LearningRows, wanted: FeatureContract, given: FeatureContract) -> LearningRows:
    """The rows with the inputs that the checkpoint was trained with. Raises MissingFeatures."""
    if wanted.digest == given.digest:
        return rows
    return replace(rows, inputs=encoded_requests(rows.frame, wanted))


def _trained_on(rows: LearningRows, manifest: CheckpointManifest) -> Refusal | None:
    """A refusal if the checkpoint or an ancestor may have seen an outcome of the rows' span."""
    code = RefusalCode.TRAINED_ON_THESE_ROWS
    try:
        outcomes_to = max(ancestor.outcomes_to for ancestor in lineage_of(manifest))
    except CheckpointBroken as fault:
        return Refusal(code, f"it may have been trained on these rows: {fault.what}")
    if rows.count == 0 or outcomes_to <= int(rows.event_times.min()):
        return None
    seen = int((rows.event_times < outcomes_to).sum())
    return Refusal(code, f"it or an ancestor was trained on outcomes in the span of {seen} of these {rows.count} rows")
