"""Decides many requests at once, exactly as a PolicyAgent decides them one by one.

Draws come from the same coins, so ids decide; tests compare every field of every record with the real agent's. It has
no queue, budget or metrics, and serves grids of arms with a policy of values, or with none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from event_schemas.errors import SettingError
from event_schemas.experiment import Experiment
from event_schemas.exploration_units import log_unit_of, unit_of
from event_schemas.slices import Slice, exploration_distribution
from feature_contract import RequestColumns
from policy_store.records import PREFERENCE_INPUT, ObjectiveWeights
from serving_agent.decide import ServingSnapshot

SLICES = (Slice.EXPLORE, Slice.CONTROL, Slice.POLICY, Slice.FALLBACK)
EXPLORE, CONTROL, POLICY, FALLBACK = range(len(SLICES))
EXPLORED, AS_PRODUCTION = "exploration", "production"
Columns = Callable[[NDArray[np.int64]], RequestColumns]
"""Gives the features of the requests at some rows."""


@dataclass(frozen=True)
class VectorRequests:
    """Ids and users of requests, and their features where a policy needs them; `cohorts` has the names of cohorts.

    `preferences` are those of the requests' experiment arms, by request; None: that of the snapshot.
    """

    ids: Sequence[str]
    users: Sequence[str | None]
    cohorts: Sequence[str | None]
    columns: Columns
    preferences: Sequence[ObjectiveWeights] | None = None


@dataclass(frozen=True, eq=False)
class UserArms:
    """Arms of an online experiment that differ in the preference alone.

    `arm` int[users] has the place of each user's arm in `preferences`, or -1 for a user who is in none.
    """

    preferences: Sequence[ObjectiveWeights]
    arm: NDArray[np.int64]

    def requests_of(self, users: NDArray[np.int64]) -> NDArray[np.int64]:
        """The places of those of `users` int[n] who are in an arm."""
        return np.flatnonzero(self.arm[users] >= 0)

    def of_users(self, users: NDArray[np.int64]) -> list[ObjectiveWeights]:
        """The preference of each of `users` int[n], all of whom are in an arm."""
        return [self.preferences[place] for place in self.arm[users].tolist()]


@dataclass(frozen=True)
class VectorDecisions:
    """Arrays over requests, as in an Action and its Propensity; `slice` is an index into SLICES."""

    slice: NDArray[np.int64]
    arm: NDArray[np.int64]
    propensity: NDArray[np.float64]
    slice_probability: NDArray[np.float64]
    sampling_rate: NDArray[np.float64]
    logged: NDArray[np.bool_]


class VectorAgent:
    """One experiment with what serves it; raises SettingError for what only a PolicyAgent can decide."""

    def __init__(self, experiment: Experiment, snapshot: ServingSnapshot) -> None:
        stable = snapshot.stable
        pinned = stable is not None and stable.pinned is not None
        withheld = snapshot.killed or snapshot.withheld is not None
        several = bool(snapshot.canary or snapshot.shadow or snapshot.experiments)
        capped = experiment.experiment.exploration_cap is not None
        if experiment.action_space.kind != "grid" or pinned or withheld or several or capped:
            raise SettingError(
                "many requests can be decided at once only for a grid of arms, with one policy of values or none, and"
                " without an exploration cap",
                fix="simulate through an agent or sidecars",
            )
        self.snapshot = snapshot
        self.settings = experiment.exploration
        self._space = experiment.action_space
        self.versions = (EXPLORED, AS_PRODUCTION, AS_PRODUCTION if stable is None else stable.version, AS_PRODUCTION)
        """What chose the arm, by slice."""
        self.fallback_reason = "no_policy" if stable is None else "no_preference"
        """Why a request is FALLBACK here."""
        self._arms = exploration_distribution(self._space, (), self.settings.production_share)

    def decide(self, requests: VectorRequests) -> VectorDecisions:
        """The decisions; see PolicyAgent.decide."""
        settings, rows = self.settings, len(requests.ids)
        units = [unit_of(request_id, settings.unit) for request_id in requests.ids]
        found = np.full(rows, POLICY if self.snapshot.stable is not None else FALLBACK)
        found[self._coins("control", units) < settings.control_rate] = CONTROL
        found[self._coins("explore", units) < settings.exploration_rate] = EXPLORE
        arm, propensity = np.full(rows, self._space.production_arm), np.ones(rows)
        explored = np.flatnonzero(found == EXPLORE)
        arm[explored] = self._explored(self._coins("arm", [requests.ids[row] for row in explored.tolist()]))
        propensity[explored] = self._arms[arm[explored]]
        served = np.flatnonzero(found == POLICY)
        fell = self._serve(requests, served, arm)
        found[fell] = FALLBACK
        sampled, logged = self._sampling(requests, found)
        return VectorDecisions(found, arm, propensity, self._slice_probabilities()[found], sampled, logged)

    def _coins(self, purpose: str, ids: Sequence[str]) -> NDArray[np.float64]:
        """`event_schemas.slices.coin` of many ids."""
        begin = f"{self.settings.salt}\x00{purpose}\x00".encode()
        drawn = b"".join([hashlib.sha256(begin + each.encode()).digest()[:8] for each in ids])
        return np.frombuffer(drawn, dtype=">u8").astype(np.float64) / 2.0**64

    def _explored(self, u: NDArray[np.float64]) -> NDArray[np.int64]:
        """`event_schemas.slices.draw_arm` of many coins, with every arm eligible."""
        share, production = self.settings.production_share, self._space.production_arm
        others = np.delete(np.arange(self._space.arms), production)
        if share == 1 or not len(others):
            return np.full(len(u), production)
        place = ((u - share) / (1 - share) * len(others)).astype(np.int64)
        return np.where(u < share, production, others[np.clip(place, 0, len(others) - 1)])

    def _serve(self, requests: VectorRequests, rows: NDArray[np.int64], arm: NDArray[np.int64]) -> NDArray[np.int64]:
        """Puts the policy's arms into `arm`; returns the rows of cohorts that no preference is for."""
        stable, own = self.snapshot.preference, requests.preferences
        found = [(own[row] if own else stable).of_cohort(requests.cohorts[row]) for row in rows.tolist()]
        preferred = np.array([weights is not None for weights in found], dtype=bool)
        weights = np.array([each for each in found if each is not None], dtype=np.float64)
        if preferred.any():
            arm[rows[preferred]] = self._best_arms(requests.columns(rows[preferred]), weights)
        fell: NDArray[np.int64] = rows[~preferred]
        return fell

    def _best_arms(self, columns: RequestColumns, weights: NDArray[np.float64]) -> NDArray[np.int64]:
        """`serving_agent.decide.scoring.best_arm` of many requests, `weights` [n, objectives] being those of each."""
        policy = self.snapshot.stable
        assert policy is not None
        inputs, refused = policy.contract.encode_columns(columns)
        if refused.any():
            raise SettingError(
                f"{int(refused.sum())} requests lack features that {policy.version} needs",
                fix="serve a checkpoint that was trained in this world, or simulate through an agent",
            )
        answer = policy.network.score({**inputs.feeds(), PREFERENCE_INPUT: weights.astype(np.float32)})
        if not isinstance(answer, np.ndarray):
            raise SettingError(
                f"{policy.version} answers with a distribution, and many requests can be decided by values only",
                fix="simulate through an agent or sidecars",
            )
        utility = np.zeros(answer.shape[:2])
        # Objective by objective in float64, as serving computes it: near ties must not be broken differently.
        for objective in range(weights.shape[1]):
            utility += weights[:, objective, None] * answer[..., objective].astype(np.float64)
        best: NDArray[np.int64] = utility.argmax(axis=1)
        return best

    def _slice_probabilities(self) -> NDArray[np.float64]:
        """P(slice | request), by slice; FALLBACK is drawn as POLICY."""
        rest, control = 1 - self.settings.exploration_rate, self.settings.control_rate
        policy = rest * (1 - control)
        return np.array([self.settings.exploration_rate, rest * control, policy, policy])

    def _sampling(
        self, requests: VectorRequests, found: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """The sampling rate of each request, and whether it is logged."""
        settings = self.settings
        rate, logged = np.ones(len(found)), np.ones(len(found), dtype=bool)
        thinned = np.flatnonzero((found == POLICY) | (found == FALLBACK))
        rate[thinned] = settings.log_rate
        ids, users = requests.ids, requests.users
        units = [log_unit_of(ids[row], users[row], settings.sampled_by, settings.unit) for row in thinned.tolist()]
        logged[thinned] = self._coins("log", units) < settings.log_rate
        return rate, logged
