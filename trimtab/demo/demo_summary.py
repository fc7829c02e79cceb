"""The demo's numbers: summary.json and the tables printed at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.box import SIMPLE
from rich.table import Table

from event_schemas.units import MEBIBYTE
from trimtab.demo.act_outcome import ExperimentOutcome


@dataclass(frozen=True)
class DemoResult:
    """All outcomes, and the cost of the run: seconds by step, and the peak resident memory of all processes."""

    outcomes: Sequence[ExperimentOutcome]
    durations: Sequence[tuple[str, str, float]]
    wall_seconds: float
    peak_bytes: int


def summary_of(result: DemoResult) -> dict[str, Any]:
    """The content of summary.json: totals where values can be added, else values by experiment."""
    outcomes = result.outcomes

    def total(count: Callable[[ExperimentOutcome], int]) -> int:
        return sum(count(outcome) for outcome in outcomes)

    def each(value: Callable[[ExperimentOutcome], Any]) -> dict[str, Any]:
        return {outcome.experiment: value(outcome) for outcome in outcomes}

    return {
        "decisions": total(lambda o: o.funnel.decisions),
        "examples": total(lambda o: o.funnel.examples),
        "lost": total(lambda o: o.funnel.lost),
        "duplicated": total(lambda o: o.funnel.duplicated),
        "reconciled": all(outcome.funnel.reconciled for outcome in outcomes),
        "checkpoint": each(lambda o: o.learned.version),
        "channel": each(lambda o: o.learned.channel),
        "verdict": each(lambda o: o.learned.verdict_sentence),
        "nodes": each(lambda o: [node.as_dict() for node in o.nodes]),
        "estimates": each(lambda o: o.estimates()),
        "experiments": each(_experiment),
        "wall_seconds": round(result.wall_seconds, 1),
        "peak_memory_mib": round(result.peak_bytes / MEBIBYTE),
        "steps": [{"act": act, "step": step, "seconds": round(s, 1)} for act, step, s in result.durations],
    }


def result_table(result: DemoResult) -> Table:
    """A table with one row per experiment; fits 80 columns."""
    table = Table(title="results by experiment", title_justify="left", box=SIMPLE, show_edge=False)
    table.add_column("experiment", no_wrap=True)
    for heading in ("decisions", "examples", "lost", "dup."):
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in ("verdict", "channel"):
        table.add_column(heading, no_wrap=True)
    for outcome in result.outcomes:
        funnel = outcome.funnel
        counts = (funnel.decisions, funnel.examples, funnel.lost, funnel.duplicated)
        channel = outcome.learned.channel or "none"
        table.add_row(outcome.experiment, *(f"{count:,}" for count in counts), outcome.learned.verdict, channel)
    return table


def verdict_lines(result: DemoResult) -> list[str]:
    """The reasons for each verdict."""
    return [
        f"{outcome.experiment}: {outcome.learned.verdict_sentence}: {'; '.join(outcome.learned.reasons)}"
        for outcome in result.outcomes
    ]


def traffic_table(outcome: ExperimentOutcome) -> Table:
    """A table of the weights served before and after α changed, with their true lift."""
    table = Table(title="people changed α, and the served weights followed", title_justify="left", box=SIMPLE)
    for heading in ("α", "decisions", "mean weights served", "true lift over production"):
        table.add_column(heading)
    for traffic in outcome.traffic:
        table.add_row(
            f"{traffic.alpha:g}",
            str(traffic.policy_decisions),
            ", ".join(f"{name} {value:.1f}" for name, value in traffic.mean_weights.items()),
            ", ".join(f"{name} {value:+.1%}" for name, value in traffic.true_lift.items()),
        )
    return table


def _experiment(outcome: ExperimentOutcome) -> Mapping[str, Any]:
    return {
        "act": outcome.act,
        "title": outcome.title,
        **outcome.funnel.as_dict(),
        "reasons": list(outcome.learned.reasons),
        "reason_codes": list(outcome.learned.reason_codes),
        "seconds_training": outcome.learned.seconds_training,
        "exploration_rate": outcome.exploration_rate,
        "shadow_arms": dict(outcome.shadowed),
        "head_shift": dict(outcome.head_shift),
        "traffic": [dict(traffic.__dict__) for traffic in outcome.traffic],
    }
