"""What an experiment file may say although it harms in some cases; told by `trimtab config check` and by the join."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from event_schemas.duration import format_duration
from event_schemas.experiment import Experiment
from event_schemas.experiment_sections import JoinSpec

FEWEST_PER_MINUTE = 1.0


@dataclass(frozen=True, slots=True)
class ExperimentWarning:
    """What may go wrong, and how to avoid it; each is one line."""

    what: str
    fix: str


def join_warnings(join: JoinSpec) -> Iterator[ExperimentWarning]:
    """Warns if one host whose clock runs ahead can make orphans of other hosts' engagements."""
    if join.fast_clocks_orphan:
        lateness, skew = format_duration(join.allowed_lateness), format_duration(join.max_future_skew)
        yield ExperimentWarning(
            f"join.allowed_lateness = {lateness} is below join.max_future_skew = {skew}: one clock that runs ahead can"
            " orphan the engagements of other hosts",
            fix="set join.max_future_skew to at most join.allowed_lateness, or raise allowed_lateness",
        )


def cap_warnings(experiment: Experiment) -> Iterator[ExperimentWarning]:
    """Warns if nodes explore nothing while they cannot reach the policy store."""
    cap, most_nodes = experiment.experiment.exploration_cap, experiment.serving.most_nodes
    if cap is not None and 60.0 * cap / most_nodes < FEWEST_PER_MINUTE:
        yield ExperimentWarning(
            f"experiment.exploration_cap = {cap:g} per second, split among serving.most_nodes = {most_nodes}, is less"
            " than one request per minute and node: nodes without the policy store explore nothing",
            fix="set serving.most_nodes to the most nodes that you run, or raise exploration_cap",
        )


def retention_warnings(experiment: Experiment) -> Iterator[ExperimentWarning]:
    """Warns if examples are deleted before a run can have them all."""
    learner = experiment.learner
    needed = learner.train_window + experiment.window_ms + learner.holdout_window
    if learner.retention < needed:
        yield ExperimentWarning(
            f"learner.retention = {format_duration(learner.retention)} is below the {format_duration(needed)} that a"
            " run reads (train_window, the longest attribution with lateness, holdout_window): it trains on less",
            fix="raise learner.retention; twice what a run reads lets `trimtab rebuild` check old checkpoints too",
        )
