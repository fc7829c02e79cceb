"""`trimtab join`: one worker of the join, or a supervisor of several."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Protocol

import structlog
import typer

from event_schemas.errors import ExperimentError, SchemaError, SettingError, TrimtabError
from event_schemas.topics import DEAD_LETTERS, EVENTS, EXAMPLES, join_group
from trimtab.experiment_warnings import join_warnings
from trimtab.process_exit import NEEDS_A_PERSON, tell
from trimtab.settings import Settings, load_settings
from trimtab.stop_flag import StopFlag

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from event_schemas.experiment import Experiment
    from event_schemas.experiment_sections import JoinSpec
    from stream_processors.worker import WorkerSettings

SESSION_SECONDS = 10.0
MOST_WORKERS = 64
log = structlog.get_logger(__name__)


class Health(Protocol):
    """Reports why a process is not healthy or not ready, one line per reason."""

    def unhealthy(self) -> list[str]:
        """Reasons to kill and restart the process."""

    def unready(self) -> list[str]:
        """Reasons why the process is not working now."""


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """The command-line options of a worker."""

    metrics_port: int | None
    metrics_host: str
    session_seconds: float

    def command(self, number: int) -> list[str]:
        """The command of a supervised worker; its port is `number` above the supervisor's."""
        command = [
            sys.executable,
            "-m",
            "trimtab",
            "join",
            "--supervised",
            "--session-seconds",
            f"{self.session_seconds}",
        ]
        if self.metrics_port is not None:
            command += ["--metrics-port", str(self.metrics_port + number), "--metrics-host", self.metrics_host]
        return command

    def url(self, number: int) -> str:
        """Where a supervised worker serves its health."""
        everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}
        host = everywhere.get(self.metrics_host, self.metrics_host)
        return f"http://{f'[{host}]' if ':' in host else host}:{(self.metrics_port or 0) + number}"


def join(
    metrics_port: Annotated[
        int | None,
        typer.Option(help="Serve /metrics, /healthz and /readyz on this port; workers use the ports above it."),
    ] = None,
    metrics_host: Annotated[str, typer.Option(help="Address to serve them on.")] = "127.0.0.1",
    session_seconds: Annotated[
        float, typer.Option(min=1.0, max=40.0, help="A worker silent for this many seconds loses its partitions.")
    ] = SESSION_SECONDS,
    workers: Annotated[
        int | None,
        typer.Option(min=1, max=MOST_WORKERS, help="Number of workers to run; failed ones are restarted."),
    ] = None,
    supervised: Annotated[bool, typer.Option("--supervised", hidden=True)] = False,
) -> None:
    """Join events into examples until SIGTERM or Ctrl-C; then finish, commit and exit 0.

    Without --workers it runs one worker; run it under a supervisor. Exit code 1 means that a restart continues from the
    last commit, 3 that a person must fix something first. Several workers share the partitions.

    Example: trimtab join --workers 4 --metrics-port 9100
    """
    signal.signal(signal.SIGTERM, _leave)
    from trimtab.process_log import log_to_stderr

    log_to_stderr()
    options = WorkerOptions(metrics_port, metrics_host, session_seconds)
    if workers is not None:
        raise typer.Exit(_supervise(workers, options))
    if supervised:
        from trimtab.parent_watch import end_with_parent

        end_with_parent()
    try:
        _work(options)
    except TrimtabError as fault:
        if not needs_a_person(fault):
            raise
        tell(fault)
        raise typer.Exit(NEEDS_A_PERSON) from fault


def needs_a_person(fault: TrimtabError) -> bool:
    """Whether a restart would fail in the same way."""
    from producers.topics import TopicError
    from stream_processors.partition import CommitUnreadable, LogReplaced, LogTruncated

    lasting = (LogTruncated, LogReplaced, CommitUnreadable, TopicError, SettingError, ExperimentError, SchemaError)
    return isinstance(fault, lasting)


def warn_of_fast_clocks(join: JoinSpec) -> None:
    """Logs a warning if one host whose clock runs ahead can make orphans of other hosts' engagements."""
    for each in join_warnings(join):
        log.warning(each.what, fix=each.fix)


def _work(options: WorkerOptions) -> None:
    # polars panics on some malformed events, which is expected; a backtrace for each of them would only cost time.
    os.environ["RUST_BACKTRACE"] = "0"
    from prometheus_client import CollectorRegistry

    from event_schemas.instant import wall_clock_ms
    from monitoring.metrics import JoinMetrics
    from monitoring.multiprocess_folder import require_multiprocess_folder
    from stream_processors.rule import JoinRule
    from stream_processors.worker import JoinWorkerParts, WorkerHealth, run_join_worker

    require_multiprocess_folder()
    settings, registry, health = load_settings(), CollectorRegistry(), WorkerHealth()
    experiment = settings.load_experiment()
    warn_of_fast_clocks(experiment.join)
    metrics = JoinMetrics(registry)
    rule = JoinRule.from_experiment(experiment)
    identities = settings.topic_identities()
    parts = JoinWorkerParts(rule, settings.codec(), metrics, wall_clock_ms, identities, health)
    worker = worker_settings(settings, experiment, options.session_seconds)
    settings.require_rights([worker.events], worker.written_topics, worker.group)
    with _serving(options, registry, health):
        run_join_worker(worker, parts)


def _supervise(workers: int, options: WorkerOptions) -> int:
    """Run the workers until told to stop or until none is left to run; return the exit code."""
    import random

    from prometheus_client import CollectorRegistry

    from monitoring.metrics import SupervisorMetrics
    from monitoring.multiprocess_folder import require_multiprocess_folder
    from trimtab.child_process import spawn
    from trimtab.worker_probes import WorkerProbes
    from trimtab.worker_supervisor import WorkerSupervisor

    require_multiprocess_folder()
    registry = CollectorRegistry()
    supervisor = WorkerSupervisor(
        workers,
        lambda number: spawn(options.command(number), lifeline=True),
        SupervisorMetrics(registry),
        random.random,
    )
    stop = StopFlag()
    stop.listen()
    urls = {slot.number: options.url(slot.number) for slot in supervisor.slots}
    with _serving(options, registry, WorkerProbes(supervisor, urls, time.monotonic)):
        return supervisor.run(stop.is_set)


@contextmanager
def _serving(options: WorkerOptions, registry: CollectorRegistry, health: Health) -> Iterator[None]:
    """Serve metrics and health on the configured port, if any."""
    from monitoring.exposition import serve_metrics

    if options.metrics_port is None:
        yield
        return
    checks = {"/healthz": health.unhealthy, "/readyz": health.unready}
    stop = serve_metrics(options.metrics_port, registry, options.metrics_host, checks)
    try:
        yield
    finally:
        stop()


def _leave(*_: object) -> None:
    """Handles SIGTERM until the worker, which has work to finish, installs its own handler."""
    raise SystemExit(0)


def worker_settings(settings: Settings, experiment: Experiment, session_seconds: float) -> WorkerSettings:
    """The settings of a join worker, from the environment and the experiment file."""
    from stream_processors.worker import WorkerSettings

    return WorkerSettings(
        client_config=settings.kafka_client_config(),
        events=settings.topic(EVENTS),
        examples=settings.topic(EXAMPLES),
        dead_letters=settings.topic(DEAD_LETTERS),
        group=join_group(settings.topic_prefix),
        live=experiment.join.clock == "live",
        producer_delay_ms=experiment.join.producer_delay,
        session_seconds=session_seconds,
    )


def register(app: typer.Typer) -> None:
    """Adds `trimtab join`."""
    app.command("join")(join)
