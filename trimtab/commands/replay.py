"""`trimtab replay`: an existing log as events."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from event_schemas.errors import SettingError
from event_schemas.instant import parse_instant
from event_schemas.topics import DEAD_LETTERS, EVENTS
from event_schemas.units import MEBIBYTE
from trimtab.settings import Settings, load_settings

if TYPE_CHECKING:
    from producers.replay.log_rows import LogRows
    from producers.replay.replay_pacing import Pacer
    from producers.replay.replay_run import ReplaySummary

STALL_SECONDS = 60.0


def replay(
    file: Annotated[Path | None, typer.Argument(help="Log to replay: .parquet, .csv or .jsonl.")] = None,
    mapping: Annotated[Path | None, typer.Option(help="Mapping file: which columns are what.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Replay only the first rows by event time.")] = None,
    max_lag: Annotated[
        int, typer.Option(min=0, help="Bytes a partition may hold unread by the join; 0 = do not wait for it.")
    ] = 2 * MEBIBYTE,
    heartbeat_at: Annotated[str | None, typer.Option(help="Without FILE: only write heartbeats of this time.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Replay a log as request, action, propensity and engagement events, then close its windows.

    Rows that cannot be decisions become dead letters. Ids and bytes depend on the rows alone: a second replay adds
    duplicates, not data. The broker must hold the topics already (`trimtab topics create`).

    Example: trimtab replay datasets/open_bandit/random_all.parquet --mapping datasets/open_bandit/mapping.toml
    """
    settings = load_settings()
    if file is not None and mapping is not None and heartbeat_at is None:
        _print_summary(_replay_file(settings, file, mapping, limit, max_lag), as_json)
    elif file is None and mapping is None and heartbeat_at is not None:
        _print_heartbeats(_write_heartbeats(settings, parse_instant(heartbeat_at, "--heartbeat-at")), as_json)
    else:
        raise SettingError(
            "replay takes either FILE with --mapping, or --heartbeat-at alone",
            fix="run `trimtab replay LOG --mapping MAPPING`, or `trimtab replay --heartbeat-at 2019-12-01T00:00:00Z`",
        )


def register(app: typer.Typer) -> None:
    """Adds `trimtab replay`."""
    app.command("replay")(replay)


def _replay_file(settings: Settings, file: Path, mapping_file: Path, limit: int | None, max_lag: int) -> ReplaySummary:
    from producers.delivery.kafka_delivery import KafkaDelivery
    from producers.replay.column_mapping import load_mapping
    from producers.replay.log_rows import read_rows
    from producers.replay.replay_run import ReplayPlan, replay_rows
    from producers.topics.topic_admin import partitions_of

    experiment, mapping = settings.load_experiment(), load_mapping(mapping_file)
    mapping.check_against(experiment)
    rows = read_rows(file, mapping, limit)
    client = settings.kafka_client_config()
    events = settings.topic(EVENTS)
    settings.require_rights(writes=[events])
    plan = ReplayPlan(
        mapping=mapping,
        experiment=experiment,
        codec=settings.codec(),
        file=rows.file,
        events_topic=events,
        dead_letters_topic=settings.topic(DEAD_LETTERS),
        partitions=partitions_of(client, events),
    )
    with (
        _pacer(settings, plan.partitions, max_lag) as pacer,
        KafkaDelivery(client) as sender,
        _progress(rows) as progress,
    ):
        return replay_rows(rows, plan, sender, pacer=pacer, progress=progress)


@contextmanager
def _pacer(settings: Settings, partitions: int, max_lag: int) -> Iterator[Pacer | None]:
    from producers.replay.replay_pacing import KafkaReaderLag, LagPacer

    if max_lag == 0:
        yield None
        return
    lag = KafkaReaderLag(
        settings.kafka_client_config(), f"{settings.topic_prefix}join", settings.topic(EVENTS), partitions
    )
    with closing(lag):
        yield LagPacer(lag, max_lag, STALL_SECONDS)


@contextmanager
def _progress(rows: LogRows) -> Iterator[Callable[[ReplaySummary], None]]:
    """A live bar on stderr; nothing where stderr is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[bad]} bad"),
        TimeRemainingColumn(),
        console=console,
    )
    with bar if console.is_terminal else nullcontext():
        task = bar.add_task(f"replay {rows.file}", total=rows.total, bad=0)
        yield lambda summary: bar.update(task, completed=summary.rows, bad=summary.bad_rows)


def _write_heartbeats(settings: Settings, event_time: int) -> dict[str, int]:
    from producers.delivery.kafka_delivery import KafkaDelivery
    from producers.loggers.heartbeats import send_heartbeats
    from producers.replay.replay_run import ReplayIncomplete
    from producers.topics.topic_admin import partitions_of

    client, topic = settings.kafka_client_config(), settings.topic(EVENTS)
    settings.require_rights(writes=[topic])
    partitions = partitions_of(client, topic)
    with KafkaDelivery(client) as sender:
        send_heartbeats(sender, settings.codec(), topic, partitions, event_time)
        counts, fault = sender.flush(30.0), sender.fault
    if counts.acknowledged != partitions:
        raise ReplayIncomplete(
            f"{partitions - counts.acknowledged} of {partitions} heartbeats were not acknowledged"
            f"{f': {fault}' if fault else ''}",
            fix="check the broker and this user's rights there, and run the command again",
        )
    return {"heartbeats": partitions, "event_time": event_time}


def _print_summary(summary: ReplaySummary, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(summary.as_dict()))
        return
    typer.echo(
        f"{summary.decisions} decisions and {summary.bad_rows} bad rows in {summary.rows} rows;"
        f" {summary.delivery.acknowledged} of {summary.delivery.handed_in} events acknowledged"
    )
    if summary.bad_rows:
        sys.stderr.write("bad rows are dead letters: `trimtab dead-letters list` shows them\n")


def _print_heartbeats(done: dict[str, int], as_json: bool) -> None:
    typer.echo(json.dumps(done) if as_json else f"{done['heartbeats']} heartbeats at {done['event_time']}")
