"""What a checkpoint's graph answers to stored requests, asked as serving nodes ask it, and the policies that follow."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from event_schemas.experiment import Experiment
from learner.checkpoints.checkpoint import Checkpoint
from learner.examples.learner_errors import CheckpointBroken
from learner.examples.learning_rows import LearningRows
from learner.judgement.candidate_policies import PREFERENCE, alpha_grid, weights_by_row
from learner.judgement.proposal_table import Proposals
from learner.network.onnx_export import graph_session
from learner.network.q_network import rows_at_once
from off_policy.row_distributions import SharedDistributions
from off_policy.target_policies import TargetPolicy
from policy_store.records import OUTPUTS, POLICY_BLOB, PREFERENCE_INPUT, ObjectiveWeights

ROWS_AT_ONCE = 1024
LEAST_SHARE = 1e-12
"""Eligible arms with less probability together than this leave nothing to serve."""


class GraphAnswers:
    """The answers of one checkpoint to the requests of `rows`, each under the preference that it would be served with.

    That is the one which the checkpoint is pinned to, or else the one by which it was judged: `weights`.
    """

    def __init__(self, checkpoint: Checkpoint, rows: LearningRows, weights: ObjectiveWeights) -> None:
        self.checkpoint = checkpoint
        self._rows = rows
        self._session = graph_session(checkpoint.blobs[POLICY_BLOB])
        self._inputs = [node.name for node in self._session.get_inputs()]
        self._weights = _preference_by_row(checkpoint, rows, weights)
        self._size = min(ROWS_AT_ONCE, rows_at_once(checkpoint.manifest.arms))

    @property
    def rows(self) -> int:
        """The number of requests."""
        return self._rows.count

    @property
    def takes_preference(self) -> bool:
        """Whether the graph answers for any preference."""
        return PREFERENCE_INPUT in self._inputs

    def outputs(
        self, positions: NDArray[np.int64], preference: Sequence[float] | None = None
    ) -> dict[str, NDArray[np.float64]]:
        """The outputs by name for the rows at `positions`; `preference` weighs the objectives for all of them."""
        names = list(OUTPUTS[self.checkpoint.manifest.answer])
        found: list[list[NDArray[np.float64]]] = []
        for start in range(0, max(len(positions), 1), self._size):
            part = positions[start : start + self._size]
            feeds = self._feeds(part, preference)
            found.append([np.asarray(array, dtype=np.float64) for array in self._session.run(names, feeds)])
        return {name: np.concatenate(arrays) for name, arrays in zip(names, zip(*found, strict=True), strict=True)}

    def score(self, positions: NDArray[np.int64]) -> NDArray[np.float64]:
        """The values of rows, of a checkpoint that answers with values: float64[k, arms, objectives]."""
        return self.outputs(positions)["q"]

    def _feeds(self, part: NDArray[np.int64], preference: Sequence[float] | None) -> Mapping[str, NDArray[Any]]:
        feeds = self._rows.inputs.take(part).feeds()
        if self.takes_preference:
            weights = self._weights[part] if preference is None else np.tile(preference, (len(part), 1))
            feeds[PREFERENCE_INPUT] = weights.astype(np.float32)
        return {name: feeds[name] for name in self._inputs}


def learned_arm_policies(answers: GraphAnswers, rows: LearningRows, experiment: Experiment) -> list[TargetPolicy]:
    """The policy of a checkpoint that answers with probabilities, and one for each α if its graph takes the preference.

    Arms that a request did not allow have no probability, as in serving. Raises CheckpointBroken if a row's answer is
    no distribution over the arms that it allowed.
    """
    policies = [_arm_policy(answers, rows, experiment, None)]
    if answers.takes_preference:
        policies += [_arm_policy(answers, rows, experiment, alpha) for alpha in alpha_grid(experiment)]
    return policies


def learned_proposals(answers: GraphAnswers, experiment: Experiment) -> Proposals:
    """The proposals for all rows, normalised; without sd if the checkpoint does not sample. Raises CheckpointBroken."""
    space, manifest = experiment.action_space, answers.checkpoint.manifest
    found = answers.outputs(np.arange(answers.rows))
    mean = space.normalised(found["w"])
    sd = np.exp(found["log_sd"]) / (space.high - space.low)
    if not (np.isfinite(mean).all() and np.isfinite(sd).all() and (sd > 0.0).all()):
        raise _broken(answers, "proposes weights or spreads that are not finite")
    return Proposals(np.clip(mean, 0.0, 1.0), sd if manifest.selection == "sample" else None)


def _arm_policy(answers: GraphAnswers, rows: LearningRows, experiment: Experiment, alpha: float | None) -> TargetPolicy:
    space, lists = experiment.action_space, rows.eligible_lists
    name = PREFERENCE if alpha is None else f"alpha={alpha:g}"
    preference = None if alpha is None else _weights_of_alpha(alpha, experiment)

    def distributions(positions: NDArray[np.int64]) -> NDArray[np.float64]:
        pi = answers.outputs(positions, preference)["pi"]
        allowed = pi if lists.all_allowed else pi * lists.masks(lists.group[positions], space.arms)
        total = allowed.sum(axis=1, keepdims=True)
        if not (np.isfinite(pi).all() and (pi >= 0.0).all() and (total > LEAST_SHARE).all()):
            raise _broken(answers, "answers with probabilities that are no distribution over the eligible arms")
        shares: NDArray[np.float64] = allowed / total
        return shares

    shared = SharedDistributions(np.arange(rows.count), space.arms, distributions)
    if answers.checkpoint.manifest.selection == "sample":
        return TargetPolicy(name, probabilities=shared, alpha=alpha)
    arms = np.concatenate([shared.block(part).argmax(axis=1) for part in shared.blocks()])
    return TargetPolicy(name, arms=arms, alpha=alpha)


def _weights_of_alpha(alpha: float, experiment: Experiment) -> list[float]:
    target = experiment.preference.alpha_objective or experiment.objective_names[0]
    return [alpha if name == target else 1.0 - alpha for name in experiment.objective_names]


def _preference_by_row(checkpoint: Checkpoint, rows: LearningRows, weights: ObjectiveWeights) -> NDArray[np.float64]:
    """float64[n, objectives]."""
    names, pinned = checkpoint.manifest.objectives, checkpoint.manifest.preference
    if pinned is not None:
        return np.tile([pinned.get(name, 0.0) for name in names], (rows.count, 1))
    return weights_by_row(weights, rows.frame["request_cohort"].to_list(), len(names))


def _broken(answers: GraphAnswers, trouble: str) -> CheckpointBroken:
    return CheckpointBroken(f"checkpoint {answers.checkpoint.version} {trouble}", fix="train it again")
