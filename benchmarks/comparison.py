"""Compares our join with the peers: medians over repeats, and ratios of events per second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks.peer_run import Measurement
from benchmarks.peer_table import TRIMTAB, VARIANTS

FIGURES = ("seconds", "events_per_s", "cpu_s_per_million", "peak_rss_mb")


def medians(measurements: Sequence[Measurement]) -> dict[str, dict[str, Any]]:
    """One row per peer, in the order given: medians of its runs; correct if every run was."""
    runs: dict[str, list[Measurement]] = {}
    for measurement in measurements:
        runs.setdefault(measurement.peer, []).append(measurement)
    return {peer: _row(of_peer) for peer, of_peer in runs.items()}


def _row(runs: Sequence[Measurement]) -> dict[str, Any]:
    first = runs[0]
    row: dict[str, Any] = {name: getattr(first, name) for name in ("requests", "events", "threads")}
    row["runs"] = len(runs)
    row |= {figure: round(median(getattr(run, figure) for run in runs), 2) for figure in FIGURES}
    broker = [run.broker_cpu_s_per_million for run in runs if run.broker_cpu_s_per_million is not None]
    row["broker_cpu_s_per_million"] = round(median(broker), 2) if broker else None
    row["correct"] = None if first.correct is None else all(run.correct for run in runs)
    row["notes"] = sorted({run.note for run in runs if run.note})
    return row


def ratio_name(peer: str) -> str:
    return f"ratio_to_{peer}"


def compare(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The one object that `python -m benchmarks.join --json` prints.

    A ratio is our events per second divided by the peer's, or None if the peer's result was wrong. The ratio to a
    system with several rows is the ratio to its fastest row, or None if the result of any of its rows was wrong.
    """
    ours = rows[TRIMTAB]
    rates = {peer: None if row["correct"] is False else row["events_per_s"] for peer, row in rows.items()}
    for system, variants in VARIANTS.items():
        of_system = [rates[variant] for variant in variants if variant in rates]
        right = [rate for rate in of_system if rate is not None]
        if system in rates:
            rates[system] = max(right) if len(right) == len(of_system) else None
    ratios = {
        ratio_name(peer): None if rate is None else round(ours["events_per_s"] / rate, 4)
        for peer, rate in rates.items()
        if peer != TRIMTAB
    }
    return {
        **{key: ours[key] for key in ("requests", "events", "events_per_s", "cpu_s_per_million", "peak_rss_mb")},
        **ratios,
        "correct": ours["correct"],
        "peers": dict(rows),
    }
