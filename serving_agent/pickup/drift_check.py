"""Step 4 of a pick-up: do head predictions look as they did when the checkpoint was approved?

Two questions with two answers. Have the *live ranker heads* moved? Then what the policy learnt about them no longer
holds, and production weights are the safe choice. Does the *new network* value recent live requests unlike the ones it
was judged on? Then this checkpoint is not what was evaluated, and the old one keeps serving.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from drift_detection.head_drift import DriftLimits, DriftVerdict, check_heads
from drift_detection.quantile_sketch import QuantileSketch
from event_schemas.errors import TrimtabError
from event_schemas.experiment import Experiment
from monitoring.metrics import DriftMetrics
from serving_agent.decide.recent_traffic import KEPT_REQUESTS, RecentTraffic
from serving_agent.decide.snapshot import LoadedPolicy


class ReferenceUnusable(TrimtabError):
    """The reference sketches in a checkpoint's manifest cannot be read."""


@dataclass(frozen=True, slots=True)
class HeadReferences:
    """The sketches of a checkpoint: of the ranker's heads (mean per request), and of its own Q heads by objective."""

    ranker_heads: Mapping[str, QuantileSketch]
    q_heads: Mapping[str, QuantileSketch]

    @classmethod
    def of_manifest(cls, reference: Mapping[str, Any]) -> Self:
        """The sketches in a manifest's `reference`; absent ones are not judged. Raises ReferenceUnusable."""
        try:
            return cls(_sketches(reference.get("ranker_heads", {})), _sketches(reference.get("q_heads", {})))
        except (TrimtabError, AttributeError, TypeError) as fault:
            raise ReferenceUnusable(
                f"reference sketches of the manifest are unusable: {fault}", fix="train the checkpoint again"
            ) from fault


def _sketches(content: Mapping[str, Any]) -> dict[str, QuantileSketch]:
    return {name: QuantileSketch.from_dict(sketch) for name, sketch in content.items()}


class DriftCheck:
    """Judges checkpoints by what this node has seen lately."""

    def __init__(self, experiment: Experiment, recent: RecentTraffic, metrics: DriftMetrics | None = None) -> None:
        self._objectives = experiment.objective_names
        self._arms = experiment.action_space.arms
        self._recent = recent
        self._metrics = metrics
        self._max_psi = experiment.gate.max_drift
        self._min_samples = experiment.serving.min_drift_samples
        self._shown: dict[str, set[str]] = {}

    def live_heads(self, references: HeadReferences) -> DriftVerdict:
        """The live ranker heads against the checkpoint's; too little traffic is "insufficient_data", not drift."""
        live: dict[str, list[float]] = self._recent.heads()
        if max(map(len, live.values()), default=0) < self._min_samples:
            # A node that has just started has not lost a head, it has not seen any yet.
            live = {head: live.get(head, []) for head in references.ranker_heads}
        verdict = check_heads(references.ranker_heads, live, DriftLimits(self._max_psi, self._min_samples))
        self._export(verdict, "")
        return verdict

    def q_heads(self, references: HeadReferences, policy: LoadedPolicy) -> DriftVerdict:
        """The policy's values of recent requests over all arms against those it was judged with.

        Raises InferenceFailed when the network fails on a real request.
        """
        requests = self._recent.requests(KEPT_REQUESTS)
        usable = policy.contract.encodable(requests)
        kept = [request for request, good in zip(requests, usable, strict=True) if good]
        live: dict[str, list[float]] = {objective: [] for objective in references.q_heads}
        if kept:
            q = policy.network.score(policy.contract.encode(kept).feeds())
            live = {name: q[:, :, column].ravel().tolist() for column, name in enumerate(self._objectives)}
        # Values of one request move together: what is counted is requests.
        limits = DriftLimits(self._max_psi, min(self._min_samples, KEPT_REQUESTS) * self._arms)
        verdict = check_heads(references.q_heads, live, limits)
        self._export(verdict, "q:")
        return verdict

    def _export(self, verdict: DriftVerdict, prefix: str) -> None:
        """Show this check's heads under `prefix`, and no longer those of the check before that it lacks: an alarm
        about a head that no checkpoint has any more would never end."""
        if self._metrics is None:
            return
        gone = self._shown.get(prefix, set()) - {prefix + head.head for head in verdict.heads}
        for label in gone:
            self._metrics.alarm.remove(label)
            self._metrics.statistic.remove(label)
        self._shown[prefix] = {prefix + head.head for head in verdict.heads}
        for head in verdict.heads:
            label = prefix + head.head
            self._metrics.alarm.labels(head=label).set(float(head.alarm))
            if np.isfinite(head.psi):
                self._metrics.statistic.labels(head=label).set(head.psi)
