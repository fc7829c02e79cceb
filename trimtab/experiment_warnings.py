"""What an experiment file may say although it harms in some cases; told by `trimtab config check` and by the join."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from event_schemas.duration import format_duration
from event_schemas.experiment_sections import JoinSpec


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
