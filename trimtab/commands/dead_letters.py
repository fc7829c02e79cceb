"""`trimtab dead-letters`: events that could not become part of an example, and why."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from event_schemas.errors import SettingError
from event_schemas.topics import DEAD_LETTERS
from trimtab.commands.dead_letter_replay import replay
from trimtab.settings import Settings, load_settings

if TYPE_CHECKING:
    from stream_processors.audit import StoredDeadLetter
    from trimtab.tables import Entry

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one object per line.")]


def list_letters(
    reason: Annotated[str | None, typer.Option(help="Only this reason, such as `late` or `malformed`.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Print at most this many.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List dead letters with their place (PARTITION:OFFSET), reason, request_id and detail.

    If the output goes to a file or another program, each letter is one line with tabs between these four fields.

    Example: trimtab dead-letters list --reason malformed
    """
    from stream_processors.audit import count_reasons, require_reasons

    require_reasons([] if reason is None else [reason])
    letters = (stored for stored in _read(load_settings()) if reason is None or stored.letter["reason"] == reason)
    counts = count_reasons(_printed(letters, limit, as_json))
    if not as_json:
        listed = ", ".join(f"{name} {count}" for name, count in counts.items())
        typer.echo(f"{sum(counts.values())} dead letters{': ' if listed else ''}{listed}")


def show(
    place: Annotated[str, typer.Argument(help="PARTITION:OFFSET, as `list` prints it.")], as_json: AsJson = False
) -> None:
    """Show one dead letter and the event it wraps, decoded if possible.

    Example: trimtab dead-letters show 2:17
    """
    from stream_processors.audit import original_record

    settings = load_settings()
    stored = _at(settings, place)
    content = {**stored.as_dict(), "original": original_record(stored, settings.codec(reads_only=True))}
    typer.echo(json.dumps(content, indent=None if as_json else 2, default=lambda field: field.hex()))


def register(app: typer.Typer) -> None:
    """Adds `trimtab dead-letters`."""
    group = typer.Typer(name="dead-letters", help="Events that could not be joined, and why.", no_args_is_help=True)
    group.command("list")(list_letters)
    group.command("show")(show)
    group.command("replay")(replay)
    app.add_typer(group)


def _printed(letters: Iterable[StoredDeadLetter], limit: int, as_json: bool) -> Iterator[StoredDeadLetter]:
    """Prints the first `limit` letters and yields all, one at a time: they may be many and large."""
    from trimtab.tables import streamed_lines, terminal_width

    width = terminal_width()
    for number, stored in enumerate(letters):
        if number < limit:
            lines = [json.dumps(stored.as_dict())] if as_json else streamed_lines(_entry(stored), width)
            typer.echo("\n".join(lines))
        yield stored


def _read(settings: Settings) -> Iterator[StoredDeadLetter]:
    from stream_processors.audit import LogReader, read_dead_letters

    settings.require_rights([settings.topic(DEAD_LETTERS)])
    reader = LogReader(settings.kafka_client_config(), settings.topic(DEAD_LETTERS))
    return read_dead_letters(reader.read_all(), settings.codec(reads_only=True))


def _at(settings: Settings, place: str) -> StoredDeadLetter:
    from stream_processors.audit import LogRange, LogReader, read_dead_letters

    partition, colon, offset = place.partition(":")
    if not (colon and partition.isdecimal() and offset.isdecimal()):
        raise SettingError(f"{place!r} is not a place", fix="write PARTITION:OFFSET, such as 2:17")
    settings.require_rights([settings.topic(DEAD_LETTERS)])
    reader = LogReader(settings.kafka_client_config(), settings.topic(DEAD_LETTERS))
    span = reader.ranges().get(int(partition))
    if span is None or not span.start <= int(offset) < span.end:
        held = "none" if span is None else f"{span.start} to {span.end - 1}"
        raise SettingError(
            f"{reader.topic} has no record at {place} (offsets kept: {held})", fix="see `trimtab dead-letters list`"
        )
    records = reader.read({int(partition): LogRange(int(offset), int(offset) + 1)})
    letters = list(read_dead_letters(records, settings.codec(reads_only=True)))
    if not letters:
        raise SettingError(f"{reader.topic} has no dead letter at {place}", fix="see `trimtab dead-letters list`")
    return letters[0]


def _entry(stored: StoredDeadLetter) -> Entry:
    from trimtab.tables import Entry

    letter = stored.letter
    place = f"{stored.partition}:{stored.offset}"
    return Entry((place, letter["reason"], letter["request_id"] or "-"), (letter["detail"],))
