"""`python -m benchmarks.join`: compares the join with its peers on one broker, with identical input."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.bench_broker import BenchBroker, running_broker, tell
from benchmarks.command_line import run_command
from benchmarks.comparison import compare, medians
from benchmarks.event_stream import StreamSettings
from benchmarks.input_log import InputLog
from benchmarks.peer_chart import peer_chart
from benchmarks.peer_run import Measurement, PeerRun, RunSettings
from benchmarks.peer_table import PYTHON_JOIN, TRIMTAB, Peer, build_missing, chosen_peers, peer_table
from benchmarks.results_folder import RESULTS, append_result, write_plot
from event_schemas.errors import TrimtabError

TIMEOUT_SECONDS = 1_200.0
WARM_UP_REQUESTS = 100_000


class WarmUpFailed(TrimtabError):
    """The warm-up run before the measured runs failed."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Which peers run, how often, and over how many requests."""

    peers: tuple[Peer, ...]
    requests: int
    repeat: int = 1

    def requests_of(self, peer: Peer) -> int:
        """The number of requests for a peer; smaller for peers that would take hours."""
        return self.requests if peer.most_requests is None else min(self.requests, peer.most_requests)


def measure(plan: Plan, broker: BenchBroker) -> list[Measurement]:
    """Run every peer `repeat` times; every other round is in reverse order, so that no peer is always first.

    A run of the plain Python join comes before and is not counted; otherwise the first peer would pay for the warm-up
    of the broker.
    """
    sizes = sorted({plan.requests_of(peer) for peer in plan.peers})
    logs: dict[int, InputLog] = {size: broker.write(f"bench{size}.", StreamSettings(size)) for size in sizes}
    settings = RunSettings(broker.directory, TIMEOUT_SECONDS, broker.pid)
    size = min(sizes[-1], WARM_UP_REQUESTS)
    little = logs.get(size) or broker.write("warm-up.", StreamSettings(size))
    tell("warming the broker up")
    warm_up = PeerRun(peer_table()[PYTHON_JOIN], little, settings).measure()
    if not warm_up.correct:
        raise WarmUpFailed(f"the plain Python join gave a wrong result: {warm_up}", fix="check the broker")
    measurements = []
    for turn in range(plan.repeat):
        for peer in plan.peers if turn % 2 == 0 else reversed(plan.peers):
            tell(f"round {turn + 1} of {plan.repeat}: {peer.name}")
            measurement = PeerRun(peer, logs[plan.requests_of(peer)], settings).measure()
            tell(f"  {measurement.events_per_s:,.0f} events/s in {measurement.seconds:.1f} s {measurement.note}")
            measurements.append(measurement)
    return measurements


def table(result: dict[str, Any]) -> Table:
    """The comparison as a table for the terminal."""
    drawn = Table("peer", title=f"{result['requests']:,} requests, {result['events']:,} events")
    for column in ("events/s", "we are", "CPU s per million", "broker CPU", "peak RSS MiB", "correct"):
        drawn.add_column(column, justify="right")
    for peer, row in result["peers"].items():
        ratio = result["events_per_s"] / row["events_per_s"]
        drawn.add_row(
            peer,
            f"{row['events_per_s']:,.0f}",
            "" if peer == TRIMTAB or row["correct"] is False else f"{ratio:.2f} ×",
            f"{row['cpu_s_per_million']:.1f}",
            f"{row['broker_cpu_s_per_million'] or 0:.1f}",
            f"{row['peak_rss_mb']:,.0f}",
            {True: "yes", False: "NO", None: "–"}[row["correct"]],
        )
    return drawn


def main(
    requests: Annotated[int, typer.Option(min=1, help="Requests in the input; about 4.5 events each.")] = 100_000,
    peers: Annotated[str, typer.Option(help="`default`, `all` (except Flink), or a comma-separated list.")] = "default",
    with_flink: Annotated[bool, typer.Option("--with-flink", help="Also run Flink.")] = False,
    repeat: Annotated[int, typer.Option(min=1, help="Number of rounds; medians are reported.")] = 1,
    results: Annotated[Path, typer.Option(help="Folder for the figures and the plot.")] = RESULTS,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Compare the join with its peers on a private Kafka broker.

    Example: python -m benchmarks.join --requests 100000 --json
    """
    plan = Plan(chosen_peers(peers, with_flink), requests, repeat)
    build_missing(plan.peers)
    with running_broker() as broker:
        result = compare(medians(measure(plan, broker)))
    append_result(results, "join", result)
    title = f"The join of {result['events']:,} events"
    write_plot(results, "join", peer_chart(result["peers"], title), title)
    Console(stderr=True).print(table(result))
    if as_json:
        typer.echo(json.dumps(result))


if __name__ == "__main__":
    run_command(main)
