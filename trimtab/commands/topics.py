"""`trimtab topics`: the four topics on the broker."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from trimtab.next_step import say_next
from trimtab.settings import load_settings

if TYPE_CHECKING:
    from producers.topics import TopicReport

PARTITIONS = 8


def create(
    partitions: Annotated[int, typer.Option(min=1, help="Partitions of each topic; cannot change later.")] = PARTITIONS,
    replication: Annotated[int, typer.Option(help="Replicas of each partition; -1 = the broker's default.")] = -1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object per topic.")] = False,
) -> None:
    """Create the topics that do not exist, with LogAppendTime and the sizes the system needs.

    Topics that exist stay as they are; settings that differ are reported.

    Example: trimtab topics create --partitions 8 --replication 3
    """
    from producers.topics import create_topics

    settings = load_settings()
    if settings.experiment.exists():
        settings.load_experiment()  # no topics for a broken file: the next command would refuse it
    reports = create_topics(settings.kafka_client_config(), settings.topic_prefix, partitions, replication)
    for report in reports:
        typer.echo(json.dumps(_as_dict(report)) if as_json else _as_line(report))
    if not as_json:
        say_next("trimtab join", "in a shell of its own, and `trimtab serve` in another; `trimtab config check` first")


def register(app: typer.Typer) -> None:
    """Adds `trimtab topics`."""
    group = typer.Typer(name="topics", help="The topics on the broker.", no_args_is_help=True)
    group.callback()(lambda: None)
    group.command("create")(create)
    app.add_typer(group)


def _as_dict(report: TopicReport) -> dict[str, object]:
    differing = {key: {"wanted": ours, "found": theirs} for key, (ours, theirs) in report.differing.items()}
    return {
        "topic": report.name,
        "created": report.created,
        "partitions": report.partitions,
        "differing": differing,
    }


def _as_line(report: TopicReport) -> str:
    state = "created" if report.created else "exists"
    differing = "".join(f"; {key} is {theirs}, not {ours}" for key, (ours, theirs) in report.differing.items())
    return f"{report.name}: {state}, {report.partitions} partitions{differing}"
