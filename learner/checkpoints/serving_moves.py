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
from learner.examples.learning_rows import LearningRows
from learner.judgement.candidate_policies import PREFERENCE, PRODUCTION, preferred_policy
from learner.judgement.predictions import Score
from learner.judgement.serving_comparison import ServingOn, ServingPolicy
from off_policy.target_policies import TargetPolicy, constant_policy
from policy_store.records import ObjectiveWeights

MOST_ROWS = 20_000
"""The newest held-out rows that are asked: they tell a share to within half a percentage point."""
ROWS_AT_ONCE = 1024
SHARE_DIGITS = 12
"""Of a share of rows; what is beyond them is rounding, which must not exceed a bound."""


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
    rows: LearningRows, candidate: tuple[Score, ObjectiveWeights], serving: ServingOn, experiment: Experiment
) -> str | None:
    """Why a pass must wait for people, or None; `candidate` answers for `rows` under the preference in force.

    `serving` answers what stable serves now. What cannot be compared with it waits too. Nothing is computed while both
    bounds are 1. Raises ComponentUnreachable.
    """
    bounds = experiment.preference
    if min(bounds.max_mean_weight_move, bounds.max_changed_arms) >= 1.0:
        return None
    newest = np.arange(max(rows.count - MOST_ROWS, 0), rows.count)
    asked, (score, preference) = rows.take(newest), candidate
    try:
        chosen = _chosen(asked, lambda at: score(newest[at]), preference)
        served = serving(asked)
    except ComponentUnreachable:
        raise
    except TrimtabError as fault:
        return f"what it changes cannot be told: {fault.what}"
    moves = serving_moves(chosen, served, experiment)
    return f"what it changes cannot be told: {served.detail}" if moves is None else moves.beyond(bounds)


def serving_moves(chosen: TargetPolicy, served: ServingPolicy, experiment: Experiment) -> ServingMoves | None:
    """The moves from what `served` chooses in n rows to what is `chosen` in them; None if nobody knows what serves.

    Where a policy draws arms, means and shares are the expected ones.
    """
    space = experiment.action_space
    if served.policy is not None:
        held, name = served.policy, f"{served.version}"
    elif served.production_serves:
        held, name = constant_policy(PRODUCTION, space.production_arm, chosen.rows), PRODUCTION
    else:
        return None
    if chosen.rows == 0:
        return ServingMoves(name, dict.fromkeys(space.weight_names, np.nan), np.nan)
    means = dict[str, float]()
    if space.weight_names:
        weights = space.normalised(space.weights)
        in_each_row = np.broadcast_to(weights, (chosen.rows, *weights.shape))
        before, after = (policy.expected(in_each_row).mean(axis=0) for policy in (held, chosen))
        means = dict(zip(space.weight_names, np.abs(after - before).tolist(), strict=True))
    return ServingMoves(name, means, round(1.0 - chosen.agreement(held), SHARE_DIGITS))


def _chosen(rows: LearningRows, score: Score, preference: ObjectiveWeights) -> TargetPolicy:
    """The arm that values lead to in each row, as serving chooses it."""
    cohorts, found = rows.frame["request_cohort"].to_list(), [np.zeros(0, dtype=np.int64)]
    for start in range(0, rows.count, ROWS_AT_ONCE):
        part = slice(start, min(start + ROWS_AT_ONCE, rows.count))
        q = np.asarray(score(np.arange(part.start, part.stop)), dtype=np.float64)
        arms = preferred_policy(q, preference, cohorts[part], rows.eligible(q.shape[1], part)).arms
        assert arms is not None
        found.append(arms)
    return TargetPolicy(PREFERENCE, arms=np.concatenate(found))
