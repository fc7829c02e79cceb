"""Step 4 of a pick-up: are head predictions distributed as they were when the checkpoint was approved?

Two checks with two outcomes. If the *live ranker heads* have drifted, what the policy learnt about them no longer
holds, and production weights are the safe choice. If the answers of the *new network* to recent live requests differ
from those in its evaluation, that evaluation does not hold for live traffic, and the old checkpoint keeps serving.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from drift_detection.head_drift import DriftLimits, DriftVerdict, check_heads
from drift_detection.quantile_sketch import QuantileSketch, Values
from event_schemas.errors import TrimtabError
from event_schemas.experiment import Experiment
from event_schemas.records import RequestRecord
from monitoring.metrics import DriftMetrics
from serving_agent.decide.loaded_policy import LoadedPolicy
from serving_agent.decide.policy_networks import ValueNetwork, answer_arrays, with_preference
from serving_agent.decide.recent_traffic import KEPT_REQUESTS, RecentTraffic

SCORED_PAIRS = 1 << 16
"""Pairs of a request and an arm that a node scores at once, next to its other work: 16 MB for a layer 64 wide."""


class ReferenceUnusable(TrimtabError):
    """The reference sketches in a checkpoint's manifest cannot be read."""


@dataclass(frozen=True, slots=True)
class HeadReferences:
    """A checkpoint's sketches: of the ranker's heads (mean per request), and of what it answers itself, by answer head.

    The answer heads of values are the objectives, of probabilities `pi`, and of proposals `w:<weight>` and
    `log_sd:<weight>`. `preference` are the weights of the objectives by which they were computed, if it made a
    difference.
    """

    ranker_heads: Mapping[str, QuantileSketch]
    answer_heads: Mapping[str, QuantileSketch]
    preference: tuple[float, ...] | None = None

    @classmethod
    def of_manifest(cls, reference: Mapping[str, Any]) -> Self:
        """The sketches in a manifest's `reference`; heads without one are not checked. Raises ReferenceUnusable.

        The sketches of values are its `q_heads`, those of other answers its `answer_heads`.
        """
        try:
            answers = {**reference.get("q_heads", {}), **reference.get("answer_heads", {})}
            weights = reference.get("preference")
            preference = None if weights is None else tuple(float(weight) for weight in weights)
            return cls(_sketches(reference.get("ranker_heads", {})), _sketches(answers), preference)
        except (TrimtabError, AttributeError, TypeError, ValueError) as fault:
            raise ReferenceUnusable(
                f"the manifest's reference sketches are unusable: {fault}", fix="train the checkpoint again"
            ) from fault


def _sketches(content: Mapping[str, Any]) -> dict[str, QuantileSketch]:
    return {name: QuantileSketch.from_dict(sketch) for name, sketch in content.items()}


class DriftCheck:
    """Checks checkpoints against this node's recent traffic."""

    def __init__(self, experiment: Experiment, recent: RecentTraffic, metrics: DriftMetrics | None = None) -> None:
        self._objectives = experiment.objective_names
        self._arms = experiment.action_space.arms
        self._weights = experiment.action_space.weight_names
        self._recent = recent
        self._metrics = metrics
        self._max_psi = experiment.gate.max_drift
        self._min_samples = experiment.serving.min_drift_samples
        self._shown: dict[str, set[str]] = {}

    def live_heads(self, references: HeadReferences) -> DriftVerdict:
        """Compares live ranker heads with the checkpoint's; too little traffic is "insufficient_data", not drift."""
        live: dict[str, list[float]] = self._recent.heads()
        if max(map(len, live.values()), default=0) < self._min_samples:
            # On a node that has just started, a head is not missing: the node has not seen any yet.
            live = {head: live.get(head, []) for head in references.ranker_heads}
        verdict = check_heads(references.ranker_heads, live, DriftLimits(self._max_psi, self._min_samples))
        self._export(verdict, "")
        return verdict

    def answer_heads(self, references: HeadReferences, policy: LoadedPolicy) -> DriftVerdict:
        """Compares the policy's answers to recent requests, over all arms, with those in its evaluation.

        Raises InferenceFailed when the network fails on a real request.
        """
        requests = self._recent.requests(KEPT_REQUESTS)
        usable = policy.contract.encodable(requests)
        kept = [request for request, good in zip(requests, usable, strict=True) if good]
        live: dict[str, Values] = {head: [] for head in references.answer_heads}
        per_request = 1
        if kept:
            arrays = self._answers(policy, kept, references.preference)
            live = self._heads_of(arrays)
            per_request = 1 if "w" in arrays else self._arms
        # The values of one request are correlated, so the minimum counts requests, not values.
        limits = DriftLimits(self._max_psi, min(self._min_samples, KEPT_REQUESTS) * per_request)
        verdict = check_heads(references.answer_heads, live, limits)
        self._export(verdict, "q:" if isinstance(policy.network, ValueNetwork) else "answer:")
        return verdict

    def _answers(
        self, policy: LoadedPolicy, requests: Sequence[RequestRecord], preference: tuple[float, ...] | None
    ) -> dict[str, NDArray[Any]]:
        """The answers to these requests, asked for in batches: the network holds its layers for each arm."""
        inputs, size = policy.contract.encode(requests), max(1, SCORED_PAIRS // self._arms)
        weights = preference or policy.pinned or (1.0 / len(self._objectives),) * len(self._objectives)
        found = []
        for start in range(0, inputs.rows, size):
            part = inputs.take(slice(start, start + size))
            found.append(answer_arrays(policy.network.score(with_preference(part.feeds(), weights, part.rows))))
        return {name: np.concatenate([each[name] for each in found]) for name in found[0]}

    def _heads_of(self, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Values]:
        """The values of each answer head; see HeadReferences."""
        heads: dict[str, Values] = {}
        for name, array in arrays.items():
            match name:
                case "q":
                    heads |= {each: array[:, :, column].ravel() for column, each in enumerate(self._objectives)}
                case "pi":
                    heads[name] = array.ravel()
                case _:
                    heads |= {f"{name}:{each}": array[:, column] for column, each in enumerate(self._weights)}
        return heads

    def _export(self, verdict: DriftVerdict, prefix: str) -> None:
        """Exports this check's heads under `prefix`, and removes heads that only the previous check had: an alarm about
        a head that no checkpoint has any more would never end."""
        if self._metrics is None:
            return
        check = "answers" if prefix else "live"
        shown = {prefix + head.head for head in verdict.heads}
        for label in self._shown.get(check, set()) - shown:
            self._metrics.alarm.remove(label)
            self._metrics.statistic.remove(label)
        self._shown[check] = shown
        for head in verdict.heads:
            label = prefix + head.head
            self._metrics.alarm.labels(head=label).set(float(head.alarm))
            if np.isfinite(head.psi):
                self._metrics.statistic.labels(head=label).set(head.psi)
