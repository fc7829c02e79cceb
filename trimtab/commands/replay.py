"""`trimtab replay`: replays an existing log as events."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from event_schemas.errors import RightMissing, SettingError
from event_schemas.instant import parse_instant
from event_schemas.topics import DEAD_LETTERS, EVENTS
from trimtab.join_pace import UNREAD_BYTES, paced_by_join
from trimtab.live_bar import live_bar
from trimtab.next_step import say_next, say_next_to_learn
from trimtab.settings import Settings, load_settings

if TYPE_CHECKING:
    from producers.replay import ReplaySummary


def replay(
    file: Annotated[Path | None, typer.Argument(help="Log to replay: .parquet, .csv or .jsonl.")] = None,
    mapping: Annotated[Path | None, typer.Option(help="File that maps the columns to event fields.")] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Replay only this many rows, the earliest by event time.")
    ] = None,
    max_lag: Annotated[
        int, typer.Option(min=0, help="Most bytes per partition not yet read by the join; 0 = do not wait for it.")
    ] = UNREAD_BYTES,
    heartbeat_at: Annotated[
        str | None, typer.Option(help="Without FILE: only write heartbeats with this time.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Replay a log as request, action, propensity and engagement events, then close its windows.

    Rows that cannot be decisions become dead letters; if all do, or there is no row, the exit code is 1. Ids and bytes
    depend only on the rows, so a second replay adds only duplicates. The topics must exist (`trimtab topics create`).

    Example: trimtab replay datasets/open_bandit/random_all.parquet --mapping datasets/open_bandit/mapping.toml
    """
    settings = load_settings()
    if file is not None and mapping is not None and heartbeat_at is None:
        summary = _replay_file(settings, file, mapping, limit, max_lag)
        _print_summary(summary, as_json)
        summary.require_decisions(str(file))
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
    from producers.delivery import KafkaDelivery
    from producers.replay import ReplayPlan, load_mapping, read_rows, replay_rows
    from producers.topics import partitions_of, partitions_of_all

    experiment, mapping = settings.load_experiment(), load_mapping(mapping_file)
    mapping.check_against(experiment)
    rows = read_rows(file, mapping, limit)
    client = settings.kafka_client_config()
    events = settings.topic(EVENTS)
    settings.require_rights(writes=[events])
    with suppress(RightMissing):  # only bad rows need it
        partitions_of_all(client, [events, settings.topic(DEAD_LETTERS)])
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
        paced_by_join(settings, plan.partitions, max_lag) as pacer,
        KafkaDelivery(client) as sender,
        live_bar() as show,
    ):

        def progress(summary: ReplaySummary) -> None:
            show(f"replay {rows.file}", summary.rows, rows.total, f"{summary.bad_rows} bad")

        return replay_rows(rows, plan, sender, pacer=pacer, progress=progress)


def _write_heartbeats(settings: Settings, event_time: int) -> dict[str, int]:
    from producers.delivery import KafkaDelivery
    from producers.loggers import send_heartbeats
    from producers.replay import ReplayIncomplete
    from producers.topics import partitions_of

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
        say_next("trimtab dead-letters list", "the bad rows are dead letters; it says what is wrong with each")
    if summary.decisions:
        say_next_to_learn(summary.decisions)


def _print_heartbeats(done: dict[str, int], as_json: bool) -> None:
    typer.echo(json.dumps(done) if as_json else f"{done['heartbeats']} heartbeats at {done['event_time']}")
