"""`python -m benchmarks.join_scaling`: measures the join's cost by number of events and by number of open decisions.

On the second axis the same number of requests is denser in event time, so that more of them are open at once.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from benchmarks.bench_broker import EXPERIMENT, BenchBroker, running_broker, tell
from benchmarks.command_line import run_command
from benchmarks.event_stream import StreamSettings
from benchmarks.input_log import delete_input
from benchmarks.peer_run import PeerRun, RunSettings
from benchmarks.peer_table import TRIMTAB_ONE, peer_table
from benchmarks.results_folder import RESULTS, append_result, write_plot
from event_schemas.experiment import load_experiment
from off_policy.svg_rendering import ACCENT, CHART_WIDTH, styled

if TYPE_CHECKING:
    import altair as alt

EVENTS_PER_REQUEST = 4.515
TIMEOUT_SECONDS = 3_600.0
FIGURES = ("events", "seconds", "events_per_s", "cpu_s_per_million", "peak_rss_mb", "correct", "note")


def requests_per_s(pending: int) -> float:
    """The density of requests in event time at which `pending` of them are open at once."""
    return pending / (load_experiment(EXPERIMENT).window_ms / 1000)


def measure(broker: BenchBroker, name: str, settings: StreamSettings) -> dict[str, Any]:
    """Run the join once over its own input, and delete the input afterwards to free disk space."""
    log = broker.write(f"{name}.", settings)
    run_settings = RunSettings(broker.directory, TIMEOUT_SECONDS, broker.pid)
    measurement = PeerRun(peer_table()[TRIMTAB_ONE], log, run_settings).measure()
    delete_input(log)
    tell(f"{name}: {measurement.events_per_s:,.0f} events/s, {measurement.cpu_s_per_million:.1f} CPU s per million")
    return {figure: getattr(measurement, figure) for figure in FIGURES}


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float | None:
    """b of cost = a · size^b by least squares on logarithms: 1 is linear, 0 is flat. None for fewer than two sizes."""
    if len(set(sizes)) < 2:
        return None
    return round(float(np.polyfit(np.log(sizes), np.log(costs), 1)[0]), 3)


def cost_chart(points: Sequence[dict[str, Any]], axis: str, title: str) -> alt.HConcatChart:
    """Seconds and CPU per million events over `axis`."""
    import altair as alt

    base = alt.Chart(alt.InlineData(values=[dict(point) for point in points]))
    x = alt.X(f"{axis}:Q", scale=alt.Scale(type="log"), title=axis.replace("_", " "))
    scale = alt.Scale(type="log" if axis == "events" else "linear", zero=axis != "events")
    drawn = [
        base.mark_line(point=True, color=ACCENT)
        .encode(x=x, y=alt.Y(f"{column}:Q", title=label, scale=of_axis))
        .properties(width=CHART_WIDTH // 2, height=160)
        for column, label, of_axis in (
            ("seconds", "seconds", scale),
            ("cpu_s_per_million", "CPU s per million events", alt.Scale(zero=True)),
        )
    ]
    chart: alt.HConcatChart = styled(alt.hconcat(*drawn).properties(title=title))
    return chart


def numbers(text: str) -> list[int]:
    """Parse a list such as `1e5,300000`."""
    return [int(float(part)) for part in text.split(",") if part.strip()]


def main(
    events: Annotated[str, typer.Option(help="Numbers of events on the first axis.")] = "1e5,3e5,1e6,3e6",
    pending: Annotated[str, typer.Option(help="Numbers of open decisions on the second axis.")] = "1e3,1e4,1e5,1e6",
    requests: Annotated[int, typer.Option(min=1, help="Requests per run on the second axis.")] = 1_200_000,
    results: Annotated[Path, typer.Option(help="Folder for the figures and plots.")] = RESULTS,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Measure how the join's cost grows.

    Example: python -m benchmarks.join_scaling --events 1e5,1e6 --pending 1e3,1e5 --requests 200000 --json
    """
    with running_broker() as broker:
        by_events = [
            measure(broker, f"events{size}", StreamSettings(max(1, round(size / EVENTS_PER_REQUEST))))
            for size in numbers(events)
        ]
        by_pending = [
            {"pending": size} | measure(broker, f"pending{size}", StreamSettings(requests, requests_per_s(size)))
            for size in numbers(pending)
        ]
    result = {
        "by_events": by_events,
        "by_pending": by_pending,
        "exponent_over_events": exponent([p["events"] for p in by_events], [p["seconds"] for p in by_events]),
        "exponent_over_pending": exponent([p["pending"] for p in by_pending], [p["seconds"] for p in by_pending]),
        "correct": all(point["correct"] for point in by_events + by_pending),
    }
    append_result(results, "join_scaling", result)
    for name, points, title in (
        ("events", by_events, "The join's cost over the number of events"),
        ("pending", by_pending, "The join's cost over the number of open decisions"),
    ):
        if points:
            write_plot(results, f"join_scaling_{name}", cost_chart(points, name, title), title)
    if as_json:
        typer.echo(json.dumps(result))


if __name__ == "__main__":
    run_command(main)
