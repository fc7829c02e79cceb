"""`trimtab forget`: removes a user's examples from this machine, and keeps them out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from event_schemas.errors import SettingError
from event_schemas.instant import utc_text, wall_clock_ms
from event_schemas.topics import EXAMPLES
from event_schemas.user_ids import person
from trimtab.next_step import say_next
from trimtab.settings import load_settings

if TYPE_CHECKING:
    from learner.checkpoints import TrainedCheckpoints


def forget(
    user: Annotated[str, typer.Argument(help="The user id, as requests have it.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Remove a user's examples from this machine's segments, and refuse them when the topic is read again.

    All rows with requests up to now are removed and refused. A digest of the id is kept, not the id. Producers' counts
    of the log stay right: what was forgotten is counted as such. The command names the checkpoints that learnt from
    this or another forgotten user; run it again to see them again. It changes no topic: events, examples and dead
    letters keep the user's records until their retention.

    Stop `trimtab learn` first.

    Example: trimtab forget u-1842
    """
    from learner.checkpoints import CHECKPOINTS_FOLDER, CheckpointShelf, learner_directory, trained_on
    from learner.examples import EXAMPLES_FOLDER, SegmentStore, forgotten_decisions
    from trimtab.process_log import log_to_stderr

    log_to_stderr()
    settings = load_settings()
    if person(user) is None:
        raise SettingError(
            f"{user!r} names nobody: blanks and placeholders are not users", fix="give the id that requests have"
        )
    experiment = settings.load_experiment()
    directory, until = learner_directory(settings.data_dir, experiment), wall_clock_ms()
    topic, retention = settings.topic(EXAMPLES), experiment.learner.retention
    with SegmentStore(directory / EXAMPLES_FOLDER, topic, retention) as store:
        removed = store.forget_user(user, until)
        found = trained_on(
            CheckpointShelf(directory / CHECKPOINTS_FOLDER), forgotten_decisions(directory / EXAMPLES_FOLDER)
        )
    content: dict[str, Any] = {
        "removed": removed.height,
        "until": until,
        "trained": list(found.direct),
        "inherited": list(found.inherited),
        "unknown": list(found.unknown),
    }
    if as_json:
        typer.echo(json.dumps(content))
        return
    _show(removed.height, until, found)


def register(app: typer.Typer) -> None:
    """Adds `trimtab forget`."""
    app.command("forget")(forget)


def _show(removed: int, until: int, found: TrainedCheckpoints) -> None:
    from trimtab.tables import show, show_text

    show_text(f"{removed:,} examples removed; requests up to {utc_text(until)} stay out")
    for title, versions in (
        ("was trained on a forgotten user's examples", found.direct),
        ("continues such a checkpoint, or one that may be", found.inherited),
        ("cannot be read", found.unknown),
    ):
        for version in versions:
            show(f"checkpoint {version}   {title}")
    if found.direct or found.inherited or found.unknown:
        show_text(
            "to be rid of what they learnt: delete their folders under checkpoints; the next run then trains without"
            " the rows, from the newest checkpoint that is left or cold; promote what it publishes"
        )
        say_next("trimtab learn --once", "trains and publishes a checkpoint without the rows")
