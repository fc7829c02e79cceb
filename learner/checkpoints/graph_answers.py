"""What a checkpoint's graph answers to stored requests, asked as serving nodes ask it, and the policies that follow."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from event_schemas.experiment import Experiment
from event_schemas.truncated_normal import LEAST_SD, MOST_SD
from feature_contract import known_contracts
from learner.checkpoints.checkpoint import Checkpoint
from learner.examples.learner_errors import CheckpointBroken
from learner.examples.learning_rows import LearningRows
from learner.judgement.candidate_policies import (
    EQUAL_WEIGHTS,
    PREFERENCE,
    alpha_grid,
    preferred_policy,
    weights_by_row,
)
from learner.judgement.proposal_table import Proposals
from learner.network.graph_session import graph_session
from learner.network.pair_blocks import rows_at_once
from off_policy.row_distributions import SharedDistributions, row_blocks
from off_policy.target_policies import TargetPolicy
from policy_store.records import (
    BOUND_TOLERANCE,
    OUTPUTS,
    POLICY_BLOB,
    PREFERENCE_INPUT,
    SUM_TOLERANCE,
    CheckpointManifest,
    ObjectiveWeights,
    PreferenceTarget,
    same_weights,
    weights_of,
)

ROWS_AT_ONCE = 1024
LEAST_SHARE = 1e-12
"""Eligible arms with less probability together than this leave nothing to serve."""


class GraphAnswers:
    """The answers of one checkpoint to the requests of `rows`, each under the preference that it would be served with.

    That is the one which the checkpoint is pinned to, or else the one by which it was judged: `weights`. `gives_way`
    bool[n]: the rows that production serves instead, because it is pinned to another preference than `weights`.
    """

    def __init__(self, checkpoint: Checkpoint, rows: LearningRows, weights: ObjectiveWeights) -> None:
        """Raises CheckpointBroken for a graph that cannot be loaded."""
        self.checkpoint = checkpoint
        self.weights = served_weights(checkpoint, weights)
        self._rows = rows
        try:
            self._session = graph_session(checkpoint.blobs[POLICY_BLOB])
        except Exception as fault:  # ONNX Runtime raises its own exception types, none of which is public
            raise broken(checkpoint, f"has a graph that cannot be loaded: {fault}") from fault
        self._inputs = [node.name for node in self._session.get_inputs()]
        cohorts, objectives = rows.frame["request_cohort"].to_list(), len(checkpoint.manifest.objectives)
        self._weights = weights_by_row(self.weights, cohorts, objectives)
        self.gives_way = _gives_way(checkpoint, weights_by_row(weights, cohorts, objectives), self._weights)
        self._size = min(ROWS_AT_ONCE, rows_at_once(checkpoint.manifest.arms))

    @property
    def rows(self) -> int:
        """The number of requests."""
        return self._rows.count

    @property
    def takes_preference(self) -> bool:
        """Whether the graph takes the preference as an input."""
        return PREFERENCE_INPUT in self._inputs

    @property
    def pinned(self) -> bool:
        """Whether the checkpoint is served under one preference only."""
        return self.checkpoint.manifest.preference is not None

    def outputs(
        self, positions: NDArray[np.int64], preference: Sequence[float] | None = None
    ) -> dict[str, NDArray[np.float64]]:
        """The outputs by name for the rows at `positions`; `preference` weighs the objectives for all of them.

        Raises CheckpointBroken if the graph fails, or answers other than with a row of floats for each request.
        """
        names = list(OUTPUTS[self.checkpoint.manifest.answer])
        found: list[list[NDArray[np.float64]]] = []
        for start in range(0, max(len(positions), 1), self._size):
            part = positions[start : start + self._size]
            try:
                arrays = self._session.run(names, self._feeds(part, preference))
            except Exception as fault:  # as above
                raise broken(self.checkpoint, f"has a graph that cannot be run: {fault}") from fault
            found.append([self._floats(name, each, len(part)) for name, each in zip(names, arrays, strict=True)])
        return {name: np.concatenate(arrays) for name, arrays in zip(names, zip(*found, strict=True), strict=True)}

    def score(self, positions: NDArray[np.int64], preference: Sequence[float] | None = None) -> NDArray[np.float64]:
        """The values of rows, of a checkpoint that answers with values: float64[k, arms, objectives].

        Raises CheckpointBroken like `outputs`, and for values that serving refuses.
        """
        q = self.outputs(positions, preference)["q"]
        if not bool(((q >= 0.0) & (q <= 1.0)).all()):  # also for NaN
            raise broken(self.checkpoint, "answers with values outside [0, 1]")
        return q

    def _floats(self, name: str, array: Any, rows: int) -> NDArray[np.float64]:
        """An output in the precision in which it is served; that of a graph without inputs holds for all rows."""
        if not isinstance(array, np.ndarray) or array.dtype.kind != "f" or array.ndim < 2:
            raise broken(self.checkpoint, f"answers with {name} that is no array of floats by request")
        if not self._inputs and len(array):
            array = np.repeat(array[:1], rows, axis=0)
        if len(array) != rows:
            raise broken(self.checkpoint, f"answers with {len(array)} rows of {name} for {rows} requests")
        served: NDArray[np.float64] = array.astype(np.float32).astype(np.float64)
        return served

    def _feeds(self, part: NDArray[np.int64], preference: Sequence[float] | None) -> Mapping[str, NDArray[Any]]:
        feeds = self._rows.inputs.take(part).feeds()
        if self.takes_preference:
            weights = self._weights[part] if preference is None else np.tile(preference, (len(part), 1))
            feeds[PREFERENCE_INPUT] = weights.astype(np.float32)
        return {name: feeds[name] for name in self._inputs}


def why_unfit(manifest: CheckpointManifest, experiment: Experiment) -> str | None:
    """Why a checkpoint cannot answer this experiment's requests, or None."""
    box = experiment.action_space.kind == "box"
    fits = {
        "experiment": manifest.experiment == experiment.name,
        "action space": manifest.action_space == experiment.action_space.digest,
        "objectives": list(manifest.objectives) == list(experiment.objective_names),
        "kind of answer": (manifest.answer == "proposal") == box,
        "features": manifest.feature_contract in known_contracts(experiment),
    }
    differing = [name for name, fit in fits.items() if not fit]
    return f"it differs from this experiment in {', '.join(differing)}" if differing else None


def served_arm_policy(answers: GraphAnswers, rows: LearningRows, experiment: Experiment) -> TargetPolicy:
    """The policy by which serving nodes choose arms for `rows` under the preference of `answers`; production where it
    gives way.

    Raises CheckpointBroken for answers that serving refuses.
    """
    away = answers.gives_way
    if answers.checkpoint.manifest.answer != "values":
        return _arm_policy(answers, rows, experiment, None, away)
    arms, cohorts = np.empty(rows.count, dtype=np.int64), rows.frame["request_cohort"].to_list()
    shape = experiment.action_space.arms, len(experiment.objective_names)
    name = PREFERENCE
    for part in row_blocks(rows.count, shape[0] * shape[1]):
        q = answers.score(np.arange(part.start, part.stop))
        if q.shape[1:] != shape:
            raise broken(answers.checkpoint, f"answers with q of shape {q.shape[1:]}, not {shape}")
        chosen = preferred_policy(q, answers.weights, cohorts[part], rows.eligible(shape[0], part))
        assert chosen.arms is not None
        arms[part], name = chosen.arms, chosen.name
    arms[away] = experiment.action_space.production_arm
    return TargetPolicy(name, arms=arms)


def learned_arm_policies(answers: GraphAnswers, rows: LearningRows, experiment: Experiment) -> list[TargetPolicy]:
    """The policy of a checkpoint that answers with probabilities, and one for each α if its graph takes the preference.

    Arms that a request did not allow have no probability, as in serving. Raises CheckpointBroken if a row's answer is
    no distribution over the arms that it allowed.
    """
    policies = [_arm_policy(answers, rows, experiment, None)]
    if answers.takes_preference and not answers.pinned:
        policies += [_arm_policy(answers, rows, experiment, alpha) for alpha in alpha_grid(experiment)]
    return policies


def learned_proposals(answers: GraphAnswers, experiment: Experiment) -> Proposals:
    """The proposals for all rows, normalised; without sd if the checkpoint does not sample.

    Raises CheckpointBroken if serving would refuse one: such requests get production, so the proposals are not what is
    served.
    """
    space, manifest = experiment.action_space, answers.checkpoint.manifest
    found = answers.outputs(np.arange(answers.rows))
    for name, array in found.items():
        if array.shape[1:] != space.low.shape:
            raise broken(answers.checkpoint, f"answers with {name} of shape {array.shape[1:]}, not {space.low.shape}")
    mean = space.normalised(found["w"])
    with np.errstate(over="ignore"):
        sd = np.exp(found["log_sd"]) / (space.high - space.low)
    inside = (mean >= -BOUND_TOLERANCE) & (mean <= 1.0 + BOUND_TOLERANCE)
    fit = (sd >= LEAST_SD * (1.0 - BOUND_TOLERANCE)) & (sd <= MOST_SD * (1.0 + BOUND_TOLERANCE))
    if not (inside.all() and fit.all()):  # also for NaN
        rows = int((~(inside & fit)).any(axis=1).sum())
        raise broken(
            answers.checkpoint, f"proposes means or spreads outside the box for {rows} of {len(mean)} requests"
        )
    sd = np.clip(sd, LEAST_SD, MOST_SD)
    return Proposals(np.clip(mean, 0.0, 1.0), sd if manifest.selection == "sample" else None)


def _arm_policy(
    answers: GraphAnswers,
    rows: LearningRows,
    experiment: Experiment,
    alpha: float | None,
    away: NDArray[np.bool_] | None = None,
) -> TargetPolicy:
    """`away` bool[n]: the rows that production serves."""
    space, lists = experiment.action_space, rows.eligible_lists
    in_force = PREFERENCE if answers.weights.declared else EQUAL_WEIGHTS
    name = in_force if alpha is None else f"alpha={alpha:g}"
    preference = None if alpha is None else weights_of(PreferenceTarget.of(alpha=alpha), experiment)

    def distributions(positions: NDArray[np.int64]) -> NDArray[np.float64]:
        pi = answers.outputs(positions, preference)["pi"]
        if pi.shape[1:] != (space.arms,):
            raise broken(answers.checkpoint, f"answers with pi of shape {pi.shape[1:]}, not ({space.arms},)")
        allowed = pi if lists.all_allowed else pi * lists.masks(lists.group[positions], space.arms)
        total = allowed.sum(axis=1, keepdims=True)
        whole = np.abs(pi.sum(axis=1) - 1.0) <= SUM_TOLERANCE  # not for NaN either
        if not (whole.all() and (pi >= 0.0).all() and (total > LEAST_SHARE).all()):
            raise broken(
                answers.checkpoint, "answers with probabilities that are no distribution over the eligible arms"
            )
        shares: NDArray[np.float64] = allowed / total
        if away is not None:
            shares[away[positions]] = np.arange(space.arms) == space.production_arm
        return shares

    shared = SharedDistributions(np.arange(rows.count), space.arms, distributions)
    if answers.checkpoint.manifest.selection == "sample":
        return TargetPolicy(name, probabilities=shared, alpha=alpha)
    arms = np.concatenate([shared.block(part).argmax(axis=1) for part in shared.blocks()])
    return TargetPolicy(name, arms=arms, alpha=alpha)


def served_weights(checkpoint: Checkpoint, weights: ObjectiveWeights) -> ObjectiveWeights:
    """What the checkpoint is served by: the preference that it is pinned to, or `weights`. Raises CheckpointBroken."""
    names, pinned = checkpoint.manifest.objectives, checkpoint.manifest.preference
    if pinned is None:
        return weights
    if sorted(pinned) != sorted(names):
        raise broken(checkpoint, f"is pinned to weights of {', '.join(pinned)}, not of {', '.join(names)}")
    return ObjectiveWeights(weights.revision, tuple(pinned[name] for name in names))


def _gives_way(checkpoint: Checkpoint, in_force: NDArray[np.float64], served: NDArray[np.float64]) -> NDArray[np.bool_]:
    """bool[n], from the weights float64[n, objectives] in force for each row and those of the checkpoint."""
    if checkpoint.manifest.preference is None:
        return np.zeros(len(in_force), dtype=np.bool_)
    distinct, group = np.unique(np.hstack([in_force, served]), axis=0, return_inverse=True)
    objectives = in_force.shape[1]
    other = [not same_weights(pair[:objectives], pair[objectives:]) for pair in distinct.tolist()]
    return np.array(other, dtype=np.bool_)[group.reshape(-1)]


def broken(checkpoint: Checkpoint, trouble: str) -> CheckpointBroken:
    """The error for a checkpoint whose answers cannot be used."""
    return CheckpointBroken(f"checkpoint {checkpoint.version} {trouble}", fix="train it again")
