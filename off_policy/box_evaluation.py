"""Evaluates policies on the explored log of a box of weights: SNIPS and DR for the mixed measure, kernel SNIPS.

Weights are ratios of densities, so every row has one, and there are no other rows to expect positives from: an interval
is refused by effective sizes and the share of positives in the whole log.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from off_policy.box_log import BoxLog
from off_policy.box_policies import BoxPolicy, LoggedVectors
from off_policy.doubly_robust import ModelledSample, direct_method, doubly_robust, self_normalised_dr
from off_policy.estimates import Estimate, build_estimate
from off_policy.evaluation_report import EvaluationReport, PolicyObjective, PolicyReport
from off_policy.importance_weights import evidence_of
from off_policy.intervals import EvidenceRequirements
from off_policy.inverse_propensity import biased_outcome, clipped_ips, ips, self_normalised_mean, snips
from off_policy.logged_bandit import require_shape
from off_policy.numeric_arrays import FloatArray, IntArray
from off_policy.paired_lift import PairedLift, no_lift, paired_dr_lift, paired_snips_lift
from off_policy.sampling_design import SamplingDesign

KERNEL_SNIPS = "kernel_snips"
DRAWS, LATTICE = 32, 13
"""Points of the lattice that a policy's vectors are averaged over, and its generator: (1, 13, 13^2, ...) mod 32."""


class RewardModel(Protocol):
    """Predicted rewards of the log's rows, fitted without the rows that it predicts."""

    def predict(self, vectors: FloatArray) -> FloatArray:
        """float[n, O]: the expected rewards if row i serves vectors[i], float[n, W] in [0, 1]."""


def evaluate_box_policies(
    log: BoxLog,
    policies: Sequence[BoxPolicy],
    baseline: BoxPolicy,
    model: RewardModel | None,
    requirements: EvidenceRequirements,
) -> EvaluationReport:
    """Evaluates every policy on every objective, over all rows and inside each cohort, with its paired lift.

    Without a `model` there are no estimates that use one (DM and DR). A smoothed policy gets its kernel SNIPS, biased
    for the policy itself, so never with an interval. Where only production was eligible, every policy serves it. Leave
    out rows that could not draw what a policy serves, such as production: their weights would be 0 whatever they
    earned. Raises EvaluationError if shapes do not match the log.
    """
    prepared = _prepare(log, baseline, model)
    q_logged = None if model is None else model.predict(log.served_vectors)
    evaluation = _Evaluation(log, prepared, q_logged, requirements)
    return EvaluationReport(
        objectives=log.decisions.objectives,
        rows=log.rows,
        requirements=requirements,
        baseline=evaluation.report(prepared),
        policies=tuple(evaluation.report(_prepare(log, policy, model)) for policy in policies),
    )


def expected_rewards(log: BoxLog, policy: BoxPolicy, model: RewardModel) -> FloatArray:
    """float[n, O]: the model's expectation over the policy, by a randomly shifted lattice in each row.

    Every point of a shifted lattice is uniform (Cranley and Patterson 1976), so the mean is unbiased, and with it DR.
    The shifts come from a fixed seed: the same log gives the same numbers. Of the policy that explored, each row of the
    log is one draw, so what it served stands for the expectation.
    """
    if isinstance(policy.vectors, LoggedVectors):
        return model.predict(log.served_vectors)
    atom = model.predict(np.broadcast_to(log.production, log.vectors.shape))
    if policy.vectors is None:
        return atom
    steps = np.array([pow(LATTICE, k, DRAWS) for k in range(log.vectors.shape[1])]) / DRAWS
    shifts = np.random.default_rng(0).random(log.vectors.shape)
    total = np.zeros_like(atom)
    for draw in range(DRAWS):
        total += model.predict(policy.vectors.draw((shifts + draw * steps) % 1.0))
    share = policy.atom[:, None]
    found: FloatArray = share * atom + (1.0 - share) * total / DRAWS
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _PreparedPolicy:
    """A policy as it was given, what it serves in the rows of the log, and both kinds of values for them."""

    given: BoxPolicy
    policy: BoxPolicy
    weights: FloatArray
    q_policy: FloatArray | None


def _prepare(log: BoxLog, policy: BoxPolicy, model: RewardModel | None) -> _PreparedPolicy:
    require_shape(f"policy {policy.name!r} (rows)", policy.atom, (log.rows,))
    served = policy.served_in(log)
    expected = None if model is None or served.smoothed else expected_rewards(log, served, model)
    return _PreparedPolicy(policy, served, served.importance(log), expected)


@dataclass(frozen=True, slots=True, eq=False)
class _Evaluation:
    log: BoxLog
    baseline: _PreparedPolicy
    q_logged: FloatArray | None
    requirements: EvidenceRequirements

    def report(self, prepared: _PreparedPolicy) -> PolicyReport:
        policy, decisions = prepared.policy, self.log.decisions
        everywhere = np.ones(self.log.rows, dtype=np.bool_)
        cohorts = {name: decisions.cohort_rows(name) for name in decisions.cohort_names}
        return PolicyReport(
            name=policy.name,
            alpha=None,
            agreement=policy.overlap(self.baseline.policy),
            most_common_share=float("nan"),
            objectives=self._scope(prepared, np.flatnonzero(everywhere)),
            cohorts={name: self._scope(prepared, np.flatnonzero(rows)) for name, rows in cohorts.items()},
        )

    def _scope(self, prepared: _PreparedPolicy, rows: IntArray) -> dict[str, PolicyObjective]:
        observed = self.log.decisions.observed
        return {
            name: self._objective(prepared, rows[observed[rows, index]], index)
            for index, name in enumerate(self.log.decisions.objectives)
        }

    def _objective(self, prepared: _PreparedPolicy, rows: IntArray, objective: int) -> PolicyObjective:
        design = SamplingDesign(self.log.decisions.units).take(rows)
        weights, rewards = prepared.weights[rows], self.log.decisions.reward[rows, objective]
        lift = paired_snips_lift(weights, self.baseline.weights[rows], rewards, self.requirements, design)
        if prepared.policy.smoothed:
            return PolicyObjective({KERNEL_SNIPS: _kernel_snips(weights, rewards, design)}, _biased(lift))
        estimates = [
            ips(weights, rewards, self.requirements, design),
            snips(weights, rewards, self.requirements, design),
            clipped_ips(weights, rewards, design=design),
        ]
        ours, base = (self._sample(each, rows, objective, design) for each in (prepared, self.baseline))
        dr_lift = None
        if ours is not None and base is not None:
            estimates += [
                direct_method(ours),
                *(dr(ours, self.requirements) for dr in (doubly_robust, self_normalised_dr)),
            ]
            dr_lift = paired_dr_lift(ours, base, self.requirements)
        if prepared.given is self.baseline.given:
            level = self.requirements.level
            lift, dr_lift = no_lift(lift, level), None if dr_lift is None else no_lift(dr_lift, level)
        return PolicyObjective({each.estimator: each for each in estimates}, lift, dr_lift)

    def _sample(
        self, prepared: _PreparedPolicy, rows: IntArray, objective: int, design: SamplingDesign
    ) -> ModelledSample | None:
        if self.q_logged is None or prepared.q_policy is None:
            return None
        require_shape("q", self.q_logged, (self.log.rows, len(self.log.decisions.objectives)))
        return ModelledSample(
            weights=prepared.weights[rows],
            rewards=self.log.decisions.reward[rows, objective],
            q_logged=self.q_logged[rows, objective],
            q_policy=prepared.q_policy[rows, objective],
            design=design,
        )


def _kernel_snips(weights: FloatArray, rewards: FloatArray, design: SamplingDesign) -> Estimate:
    point = self_normalised_mean(weights, rewards, design)
    return build_estimate(KERNEL_SNIPS, point, evidence_of(weights, rewards, design), biased_outcome(KERNEL_SNIPS))


def _biased(lift: PairedLift) -> PairedLift:
    """The lift of a smoothed policy: for display, like its value."""
    refusal = biased_outcome(KERNEL_SNIPS)[1]
    return replace(lift, estimator=KERNEL_SNIPS, interval=None, relative_interval=None, refusal=refusal)
