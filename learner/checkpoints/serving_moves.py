"""How far a new checkpoint moves what is served, and whether that is within the bounds that people have set.

Held-out requests are asked twice: what would the new policy serve, and what does stable serve now, or production while
stable is empty. `[preference]` bounds the move of each mean weight, as a share of its range, and the share of requests
whose arm changes. A refresh inside the bounds ships by itself under automatic approval; beyond them, people decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from event_schemas.errors import ComponentUnreachable, TrimtabError
from event_schemas.experiment import Experiment
from event_schemas.preference_section import PreferenceSpec
from feature_contract import FeatureContract
from learner.checkpoints.checkpoint import Checkpoint
from learner.checkpoints.graph_answers import GraphAnswers, broken, served_weights
from learner.examples.learning_rows import LearningRows
from learner.judgement.candidate_policies import PRODUCTION, preferred_policy
from learner.judgement.predictions import Score
from off_policy.numeric_arrays import IntArray
from policy_store.backends import PolicyStore
from policy_store.decisions import TrustRule, resolve_version, verify_checkpoint
from policy_store.records import Channel, ObjectiveWeights, UnknownCheckpoint

MOST_ROWS = 20_000
"""The newest held-out rows that are asked: they tell a share to within half a percentage point."""
ROWS_AT_ONCE = 1024


@dataclass(frozen=True, slots=True)
class ServingMoves:
    """What changes against `serving`, a version or `production`.

    mean_weights  weight -> how far its mean moves, as a share of its range, in either direction; empty for a catalogue
    changed_arms  share of requests whose arm changes, in [0, 1]; NaN without a row
    """

    serving: str
    mean_weights: Mapping[str, float]
    changed_arms: float

    def beyond(self, bounds: PreferenceSpec) -> str | None:
        """What exceeds the bounds, in words; None if nothing does. Bounds of 1 bound nothing."""
        most = bounds.max_mean_weight_move
        found = [
            f"the mean of {name} moves by {move:.1%} of its range (max_mean_weight_move {most:.1%})"
            for name, move in self.mean_weights.items()
            if most < 1.0 and not move <= most
        ]
        if bounds.max_changed_arms < 1.0 and not self.changed_arms <= bounds.max_changed_arms:
            found.append(f"{self.changed_arms:.1%} of the arms change (max_changed_arms {bounds.max_changed_arms:.1%})")
        return f"against {self.serving}, {' and '.join(found)}" if found else None


def why_people_decide(
    rows: LearningRows,
    candidate: tuple[Score, ObjectiveWeights],
    serving: tuple[PolicyStore, TrustRule],
    experiment: Experiment,
) -> str | None:
    """Why a pass must wait for people, or None; `candidate` answers for `rows` under the preference in force.

    What cannot be compared with what serves waits too. Nothing is computed while both bounds are 1. Raises
    ComponentUnreachable.
    """
    bounds = experiment.preference
    if min(bounds.max_mean_weight_move, bounds.max_changed_arms) >= 1.0:
        return None
    newest = np.arange(max(rows.count - MOST_ROWS, 0), rows.count)
    score, preference = candidate
    try:
        moves = serving_moves(rows.take(newest), (lambda at: score(newest[at]), preference), serving, experiment)
    except ComponentUnreachable:
        raise
    except TrimtabError as fault:
        return f"what it changes cannot be told: {fault.what}"
    return moves.beyond(bounds)


def serving_moves(
    rows: LearningRows,
    candidate: tuple[Score, ObjectiveWeights],
    serving: tuple[PolicyStore, TrustRule],
    experiment: Experiment,
) -> ServingMoves:
    """The moves on `rows`. Raises CheckpointBroken, and the errors of reading a channel."""
    score, preference = candidate
    chosen = _arms(rows, score, preference)
    served = serving_checkpoint(*serving)
    space = experiment.action_space
    if served is None:
        held, name = np.full(rows.count, space.production_arm), PRODUCTION
    else:
        held, name = _served_arms(served, rows, preference, experiment), served.version
    if rows.count == 0:
        return ServingMoves(name, dict.fromkeys(space.weight_names, np.nan), np.nan)
    before, after = (space.normalised(space.weights[arms]).mean(axis=0) for arms in (held, chosen))
    means = dict(zip(space.weight_names, np.abs(after - before).tolist(), strict=True))
    return ServingMoves(name, means, float((chosen != held).mean()))


def serving_checkpoint(store: PolicyStore, rule: TrustRule) -> Checkpoint | None:
    """What stable serves, verified, also past its expiry; None while it is empty."""
    try:
        version = resolve_version(store, Channel.STABLE.value, rule)
    except UnknownCheckpoint:
        return None
    signed = store.get_checkpoint(version)
    return Checkpoint(verify_checkpoint(signed, version, rule), signed.blobs, b"")


def _served_arms(
    served: Checkpoint, rows: LearningRows, preference: ObjectiveWeights, experiment: Experiment
) -> IntArray:
    manifest = served.manifest
    if manifest.feature_contract != FeatureContract.from_experiment(experiment).digest:
        raise broken(served, "was trained on other features, or with another encoding")
    if manifest.answer != "values":
        raise broken(served, f"answers with {manifest.answer}, and no single arm is its choice")
    answers = GraphAnswers(served, rows, preference)
    return _arms(rows, answers.score, served_weights(served, preference))


def _arms(rows: LearningRows, score: Score, preference: ObjectiveWeights) -> IntArray:
    """int64[n]: the arm that values lead to in each row, as serving chooses it."""
    cohorts, found = rows.frame["request_cohort"].to_list(), [np.zeros(0, dtype=np.int64)]
    for start in range(0, rows.count, ROWS_AT_ONCE):
        part = slice(start, min(start + ROWS_AT_ONCE, rows.count))
        q = np.asarray(score(np.arange(part.start, part.stop)), dtype=np.float64)
        arms = preferred_policy(q, preference, cohorts[part], rows.eligible(q.shape[1], part)).arms
        assert arms is not None
        found.append(arms)
    return np.concatenate(found)
