"""`python -m benchmarks.join_catch_up`: kills the join halfway, restarts it, and measures how fast it catches up.

The rate after the kill is the number of events that were not settled when the worker died, divided by the time from the
new worker's start (its first `partition taken`) to its last example; this includes the rebuild. The whole output is
checked; of examples that were written twice, the first copy counts.
"""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.bench_broker import BenchBroker, running_broker, tell
from benchmarks.command_line import report, run_command
from benchmarks.event_stream import StreamSettings
from benchmarks.input_log import InputLog
from benchmarks.join_worker import JoinWorkerProcess
from benchmarks.output_check import check_output
from benchmarks.peer_run import OutputWatch
from benchmarks.results_folder import RESULTS, append_result
from benchmarks.worker_log import settled_offsets, wait_until_settled
from stream_processors.audit import LogReader

POLL_SECONDS = 0.2
TIMEOUT_SECONDS = 1_200.0
KILLED_AT = 0.5


def measure(log: InputLog, broker: BenchBroker) -> dict[str, Any]:
    """Kill a worker once it has written half of the examples, and time the next one."""
    watch, wanted = OutputWatch(log.bootstrap, log.examples_topic), log.reference.examples
    first = JoinWorkerProcess(log, broker.directory / "first")
    wait_for(watch, int(wanted * KILLED_AT), first.process)
    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    killed_at = time.time()
    written, settled = watch.written(), sum(settled_offsets(log).values())
    tell(f"killed after {written:,} examples, with {settled:,} of {log.events:,} events settled")
    second = JoinWorkerProcess(log, broker.directory / "second")
    try:
        done = wait_until_settled(log, TIMEOUT_SECONDS)
        taken = second.taken_at()
    finally:
        second.stop()
    found = check_output(LogReader(log.client_config, log.examples_topic).read_all())
    before, after = rate(first, killed_at, settled), rate(second, found.last_at, log.events - settled)
    return {
        "requests": log.requests,
        "events": log.events,
        "settled_at_kill": settled,
        "back_after_s": None if taken is None else round(taken - killed_at, 2),
        "events_per_s_before": before,
        "events_per_s_after": after,
        "ratio_after_to_before": None if not before or not after else round(after / before, 3),
        "second_copies": found.second_copies,
        "correct": done and found.tally == log.reference,
    }


def rate(worker: JoinWorkerProcess, end: float | None, events: int) -> float | None:
    """Events per second from the worker's start to `end`."""
    start = worker.taken_at()
    return None if start is None or end is None or end <= start else round(events / (end - start), 1)


def wait_for(watch: OutputWatch, examples: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until this many examples are written; raises RuntimeError if the worker ends before that."""
    while watch.written() < examples:
        if process.poll() is not None:
            raise RuntimeError(f"the join worker ended with code {process.returncode}")
        time.sleep(POLL_SECONDS)


def main(
    requests: Annotated[int, typer.Option(min=1_000, help="Number of requests in the input.")] = 100_000,
    results: Annotated[Path, typer.Option(help="Folder for the figures.")] = RESULTS,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Measure how fast the join catches up after kill -9.

    Example: python -m benchmarks.join_catch_up --requests 100000 --json
    """
    with running_broker() as broker:
        result = measure(broker.write("crash.", StreamSettings(requests)), broker)
    append_result(results, "join_catch_up", result)
    report(result, as_json)


if __name__ == "__main__":
    run_command(main)
