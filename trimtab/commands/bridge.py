"""`trimtab bridge`: engagements from the company's own topics."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from event_schemas.errors import SettingError
from event_schemas.instant import parse_instant
from event_schemas.topics import DEAD_LETTERS, EVENTS, EXPLORATIONS, TOPICS
from trimtab.settings import Settings, load_settings
from trimtab.stop_flag import StopFlag

if TYPE_CHECKING:
    from event_schemas.experiment import Experiment
    from producers.bridge import Bridge, ConsumerSettings, EngagementMapper, RaisedLogRates

SESSION_SECONDS = 10.0
DELIVERY_SECONDS = 60.0
DRAIN_SECONDS = 15.0


def bridge(
    until_end: Annotated[
        bool, typer.Option(help="Exit once every record now in the source is bridged; exit 1 if all were bad.")
    ] = False,
    since: Annotated[
        str | None,
        typer.Option(help="ISO 8601 time from which to read partitions not read before; default: their start."),
    ] = None,
    metrics_port: Annotated[int | None, typer.Option(help="Serve /metrics on this port.")] = None,
    metrics_host: Annotated[str, typer.Option(help="Address of /metrics.")] = "127.0.0.1",
    session_seconds: Annotated[
        float, typer.Option(min=1.0, max=40.0, help="A bridge silent for this many seconds loses its partitions.")
    ] = SESSION_SECONDS,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary at the end as JSON.")] = False,
) -> None:
    """Bring engagements from your own topics into the log, as the experiment file maps them.

    It runs until SIGTERM or Ctrl-C, then finishes the current round, commits and exits 0. Run it under a supervisor: it
    exits on failures that a restart may fix, and the next start continues from the last commit. Several bridges share
    the partitions. Records that are not valid engagements become dead letters.

    Example: trimtab bridge --metrics-port 9103
    """
    stop = StopFlag()
    stop.listen()
    from trimtab.process_log import log_to_stderr

    log_to_stderr()
    settings = load_settings()
    starts_at = None if since is None else parse_instant(since, "--since")
    with _bridge(settings, stop, session_seconds, starts_at, (metrics_port, metrics_host)) as running:
        running.run(stop.is_set, until_end)
        _print_summary(running.summary(), as_json)
        if until_end:
            running.require_good_records()


def register(app: typer.Typer) -> None:
    """Adds `trimtab bridge`."""
    app.command("bridge")(bridge)


@contextmanager
def _bridge(
    settings: Settings,
    stop: StopFlag,
    session_seconds: float,
    since: int | None,
    metrics_at: tuple[int | None, str],
) -> Iterator[Bridge]:
    """A bridge with its clients, which are always released at the end."""
    from prometheus_client import CollectorRegistry

    from monitoring.exposition import serve_metrics
    from monitoring.metrics import BridgeMetrics
    from monitoring.multiprocess_folder import require_multiprocess_folder
    from producers.bridge import AnnouncedSettings, Bridge, BridgeParts, RaisedLogRates, SourceConsumer
    from producers.delivery import ConfirmedWriter
    from producers.topics import partitions_of

    require_multiprocess_folder()
    experiment, registry = settings.load_experiment(), CollectorRegistry()
    raised = RaisedLogRates.of(experiment)
    mappers = mappers_of(settings, experiment, raised)
    consumer_settings = consumer_of(settings, experiment, session_seconds, since)
    client, codec = settings.kafka_client_config(), settings.codec()
    for topic in (EVENTS, DEAD_LETTERS):
        partitions_of(client, settings.topic(topic))
    announced = [settings.topic(EXPLORATIONS)] if any(source.sampled for source in experiment.bridge) else []
    settings.require_rights(
        (*consumer_settings.topics, *announced),
        [settings.topic(EVENTS), settings.topic(DEAD_LETTERS)],
        consumer_settings.group,
    )
    port, host = metrics_at
    with ExitStack() as opened:
        if port is not None:
            opened.callback(serve_metrics(port, registry, host))
        events, letters = settings.topic(EVENTS), settings.topic(DEAD_LETTERS)
        overdue = partial(_overdue, stop)
        writer = opened.enter_context(closing(ConfirmedWriter(client, events, DELIVERY_SECONDS, overdue)))
        source = opened.enter_context(closing(SourceConsumer(consumer_settings)))
        parts = BridgeParts(source, mappers, codec, writer, events, letters, BridgeMetrics(registry))
        for explorations in announced:
            reader = opened.enter_context(closing(AnnouncedSettings(client, explorations, codec, raised)))
            parts = replace(parts, catch_up=reader.catch_up)
        yield Bridge(parts)


def _overdue(stop: StopFlag) -> bool:
    """Whether the bridge was told to stop and has waited long enough for the broker."""
    return stop.seconds() > DRAIN_SECONDS


def mappers_of(
    settings: Settings, experiment: Experiment, raised: RaisedLogRates | None = None
) -> dict[str, EngagementMapper]:
    """A mapper for each source topic; raises SettingError if there is none, or if one is Trimtab's own topic."""
    from producers.bridge import EngagementMapper, decoder_for

    if not experiment.bridge:
        raise SettingError(
            f"{settings.experiment}: there is no [[bridge]] section", fix="add one; docs/guides/bridge.md shows how"
        )
    ours = {settings.topic(topic) for topic in TOPICS}
    mappers = {}
    for source in experiment.bridge:
        if source.topic in ours:
            raise SettingError(
                f"[[bridge]] topic = {source.topic!r} is one of Trimtab's own topics",
                fix="name the topic that your own systems write",
            )
        decode = decoder_for(source, settings.experiment.parent, settings.schema_registry_url)
        mappers[source.topic] = EngagementMapper(source, experiment.experiment, decode, experiment.kinds, raised)
    return mappers


def consumer_of(
    settings: Settings, experiment: Experiment, session_seconds: float, since: int | None
) -> ConsumerSettings:
    """The settings of the source consumer, from the environment and the experiment file."""
    from producers.bridge import ConsumerSettings

    return ConsumerSettings(
        client_config=settings.kafka_client_config(),
        topics=tuple(source.topic for source in experiment.bridge),
        group=f"{settings.topic_prefix}bridge",
        since=since,
        session_seconds=session_seconds,
        identities=settings.topic_identities(),
    )


def _print_summary(summary: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(summary))
        return
    fates = ", ".join(f"{number} {fate}" for fate, number in summary["fates"].items())
    typer.echo(f"{summary['records']} source records: {fates}")
