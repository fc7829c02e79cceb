"""`python -m benchmarks.join_memory`: measures the join's memory with many open decisions, and whether it grows.

The stream first fills the window with `--pending` open decisions and then continues, with as many decisions opening as
closing. The number is read from the worker's gauge; memory is its RSS. The bound is 1.5 × the bytes of the open
decisions (without their engagements) + 200 MB.
"""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.bench_broker import BenchBroker, running_broker
from benchmarks.command_line import report, run_command
from benchmarks.event_stream import StreamSettings
from benchmarks.input_log import InputLog
from benchmarks.join_scaling import requests_per_s
from benchmarks.join_worker import JoinWorkerProcess
from benchmarks.process_tree import family_of, memory_mb
from benchmarks.results_folder import RESULTS, append_result, write_plot
from benchmarks.worker_log import settled_offsets
from off_policy.svg_rendering import ACCENT, CHART_WIDTH, styled
from trimtab.embedded_runtime import free_port

if TYPE_CHECKING:
    import altair as alt

SAMPLE_SECONDS = 1.0
FULL = 0.95
"""The window counts as full from this share of the wanted number on."""
MIB = 1 << 20
ALLOWANCE_MB = 200.0
BYTES_FACTOR = 1.5
GAUGE = "trimtab_join_pending_requests"


def open_decisions(page: str) -> float:
    """The sum of the gauge over partitions, in a /metrics page."""
    families = text_string_to_metric_families(page)
    return sum(sample.value for family in families for sample in family.samples if sample.name == GAUGE)


def watch(log: InputLog, broker: BenchBroker) -> list[dict[str, float]]:
    """Seconds, open decisions and RSS, once a second, until the log is settled."""
    port = free_port()
    worker = JoinWorkerProcess(log, broker.directory / "memory", "--metrics-port", str(port))
    samples: list[dict[str, float]] = []
    started = time.monotonic()
    try:
        while sum(settled_offsets(log).values()) < log.events and worker.process.poll() is None:
            time.sleep(SAMPLE_SECONDS)
            if worker.taken_at() is None:
                continue
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
                pending = open_decisions(answer.read().decode())
            rss = memory_mb(family_of(worker.process.pid), "VmRSS")
            samples.append({"seconds": time.monotonic() - started, "pending": pending, "rss_mb": rss})
    finally:
        worker.stop()
    return samples


def judge(samples: Sequence[dict[str, float]], wanted: int, bytes_per_decision: float) -> dict[str, Any]:
    """Compare memory with the bound, and compute its growth while the window was full.

    Growth compares the mean of the last quarter of that time with the mean of the first quarter.
    """
    most = max(sample["pending"] for sample in samples)
    full = [sample for sample in samples if sample["pending"] >= FULL * min(wanted, most)]
    quarter = max(1, len(full) // 4)
    first, last = (sum(s["rss_mb"] for s in part) / quarter for part in (full[:quarter], full[-quarter:]))
    pending_mb = most * bytes_per_decision / MIB
    bound, peak = BYTES_FACTOR * pending_mb + ALLOWANCE_MB, max(sample["rss_mb"] for sample in samples)
    return {
        "pending": int(most),
        "bytes_per_decision": round(bytes_per_decision, 1),
        "pending_mb": round(pending_mb, 1),
        "rss_at_start_mb": round(samples[0]["rss_mb"], 1),
        "peak_rss_mb": round(peak, 1),
        "bound_mb": round(bound, 1),
        "within_bound": peak <= bound,
        "full_for_s": round(full[-1]["seconds"] - full[0]["seconds"], 1),
        "growth_while_full": round(last / first - 1.0, 4),
    }


def memory_chart(samples: Sequence[dict[str, float]], bound_mb: float, title: str) -> alt.LayerChart:
    """RSS over time, with the bound as a dashed line."""
    import altair as alt

    x = alt.X("seconds:Q", title="seconds")
    line = alt.Chart(alt.InlineData(values=[dict(s) for s in samples])).mark_line(color=ACCENT)
    bound = alt.Chart(alt.InlineData(values=[{"bound": bound_mb}])).mark_rule(strokeDash=[4, 3])
    layered = alt.layer(line.encode(x=x, y=alt.Y("rss_mb:Q", title="RSS, MiB")), bound.encode(y="bound:Q"))
    chart: alt.LayerChart = styled(layered.properties(width=CHART_WIDTH, height=200, title=title))
    return chart


def main(
    pending: Annotated[int, typer.Option(min=100, help="Number of decisions open at once.")] = 500_000,
    windows: Annotated[float, typer.Option(min=1.1, help="Length of the stream, in windows.")] = 2.5,
    results: Annotated[Path, typer.Option(help="Folder for the figures and the plot.")] = RESULTS,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Measure the join's memory with many open decisions.

    Example: python -m benchmarks.join_memory --pending 500000 --json
    """
    with running_broker() as broker:
        settings = StreamSettings(round(pending * windows), requests_per_s(pending))
        log = broker.write("memory.", settings)
        samples = watch(log, broker)
    result = judge(samples, pending, log.part_bytes / log.requests)
    append_result(results, "join_memory", result)
    title = f"Memory with {result['pending']:,} open decisions; dashed: the bound"
    write_plot(results, "join_memory", memory_chart(samples, result["bound_mb"], title), title)
    report(result, as_json)


if __name__ == "__main__":
    run_command(main)
