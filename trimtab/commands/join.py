"""`trimtab join`: one worker of the join."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Annotated

import typer

from event_schemas.topics import DEAD_LETTERS, EVENTS, EXAMPLES
from trimtab.settings import Settings, load_settings

if TYPE_CHECKING:
    from event_schemas.experiment import Experiment
    from stream_processors.worker_settings import WorkerSettings

SESSION_SECONDS = 10.0


def join(
    metrics_port: Annotated[int | None, typer.Option(help="Serve /metrics on this port.")] = None,
    metrics_host: Annotated[str, typer.Option(help="Address of /metrics.")] = "127.0.0.1",
    session_seconds: Annotated[
        float, typer.Option(min=1.0, max=40.0, help="A worker silent for so long loses its partitions.")
    ] = SESSION_SECONDS,
) -> None:
    """Join events into examples until SIGTERM or Ctrl-C; then finish, commit and exit 0.

    Run it under a supervisor: a failure that trying again may mend ends the worker, and the next start goes on from
    the last commit. Several workers share the partitions.

    Example: trimtab join --metrics-port 9101
    """
    signal.signal(signal.SIGTERM, _leave)
    # polars panics on some malformed events, which is expected; a backtrace for each of them would only cost time.
    os.environ["RUST_BACKTRACE"] = "0"
    from prometheus_client import CollectorRegistry

    from monitoring.exposition import serve_metrics
    from monitoring.metrics import JoinMetrics
    from producers.system_clock import system_millis
    from stream_processors.attribution import JoinRule
    from stream_processors.join_worker import JoinWorkerParts, run_join_worker
    from trimtab.process_log import log_to_stderr

    log_to_stderr()
    settings, registry = load_settings(), CollectorRegistry()
    experiment = settings.load_experiment()
    metrics = JoinMetrics(registry)
    parts = JoinWorkerParts(JoinRule.from_experiment(experiment), settings.codec(), metrics, system_millis)
    stop_metrics = None if metrics_port is None else serve_metrics(metrics_port, registry, metrics_host)
    try:
        run_join_worker(worker_settings(settings, experiment, session_seconds), parts)
    finally:
        if stop_metrics is not None:
            stop_metrics()


def _leave(*_: object) -> None:
    """SIGTERM before there is anything to finish; the worker installs a handler of its own."""
    raise SystemExit(0)


def worker_settings(settings: Settings, experiment: Experiment, session_seconds: float) -> WorkerSettings:
    """What the environment and the experiment file say to a join worker."""
    from stream_processors.worker_settings import WorkerSettings

    return WorkerSettings(
        client_config=settings.kafka_client_config(),
        events=settings.topic(EVENTS),
        examples=settings.topic(EXAMPLES),
        dead_letters=settings.topic(DEAD_LETTERS),
        group=f"{settings.topic_prefix}join",
        live=experiment.join.clock == "live",
        producer_delay_ms=experiment.join.producer_delay,
        session_seconds=session_seconds,
    )


def register(app: typer.Typer) -> None:
    """Adds `trimtab join`."""
    app.command("join")(join)
