"""`trimtab dead-letters replay`: joins decisions from dead letters after a fix."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from event_schemas.errors import SettingError
from event_schemas.instant import parse_instant
from event_schemas.topics import DEAD_LETTERS, EVENTS, EXAMPLES
from trimtab.commands.reconcile import parse_offsets
from trimtab.live_bar import live_bar
from trimtab.next_step import say_next
from trimtab.settings import Settings, load_settings

if TYPE_CHECKING:
    from stream_processors.audit import LetterChoice, LetterReplaySummary, Progress
    from stream_processors.rule import JoinRule

NAMED = 20
"""How many decisions without an example are listed at most; JSON lists more."""


def replay(
    reason: Annotated[list[str] | None, typer.Option(help="Only letters of this reason; may be repeated.")] = None,
    request_id: Annotated[list[str] | None, typer.Option(help="Only this decision; may be repeated.")] = None,
    partition: Annotated[list[int] | None, typer.Option(help="Only this partition; may be repeated.")] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Only letters written at or after this ISO 8601 time, or of events from OFFSET or PARTITION=OFFSET,….",
        ),
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", help="Only letters written before this time, or of events before OFFSET.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Report what would be written; write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON object.")] = False,
) -> None:
    """Join the decisions of dead letters offline, after a fix, and write each example that does not exist yet.

    The options choose letters. All records of their decisions are then joined again with the current experiment file
    and schemas, however late the records came. A second run writes nothing. Decisions that are still open in the join
    are skipped.

    Example: trimtab dead-letters replay --reason malformed --from 2026-05-01T08:00:00Z --dry-run
    """
    from stream_processors.rule import JoinRule

    settings = load_settings()
    rule = JoinRule.from_experiment(settings.load_experiment())
    written = [] if dry_run else [settings.topic(EXAMPLES)]
    settings.require_rights((settings.topic(topic) for topic in (EVENTS, EXAMPLES, DEAD_LETTERS)), written)
    chosen = choice((reason or [], request_id or [], partition or []), (start, end), _partitions(settings))
    with live_bar(stays=False) as show:
        summary = _run(settings, rule, chosen, dry_run, show)
    if as_json:
        typer.echo(json.dumps(summary.as_dict()))
    else:
        _print(summary)


def choice(
    filters: tuple[list[str], list[str], list[int]], span: tuple[str | None, str | None], partitions: int
) -> LetterChoice:
    """The options as a choice of letters; raises SettingError for an invalid one."""
    from stream_processors.audit import LetterChoice, require_reasons

    reasons, request_ids, wanted = filters
    require_reasons(reasons)
    for number in wanted:
        if not 0 <= number < partitions:
            raise SettingError(
                f"--partition: there is no partition {number}", fix=f"partitions are 0 to {partitions - 1}"
            )
    since, start = _bound("--from", span[0], partitions)
    until, end = _bound("--to", span[1], partitions)
    return LetterChoice(frozenset(reasons), frozenset(request_ids), frozenset(wanted), start, end, since, until)


def _bound(option: str, text: str | None, partitions: int) -> tuple[int | None, dict[int, int]]:
    """A time in milliseconds, or offsets by partition; only a time has a dash."""
    if text is not None and "-" in text:
        return parse_instant(text, option), {}
    return None, parse_offsets(option, text, partitions)


def _partitions(settings: Settings) -> int:
    from producers.topics import partitions_of

    return partitions_of(settings.kafka_client_config(), settings.topic(EVENTS))


def _run(
    settings: Settings, rule: JoinRule, chosen: LetterChoice, dry_run: bool, progress: Progress
) -> LetterReplaySummary:
    from stream_processors.audit import JoinTopics, LetterReplay, OfflineJoin, ReplayedExamples

    client, codec = settings.kafka_client_config(), settings.codec(reads_only=dry_run)
    topics = JoinTopics.under(client, settings.topic_prefix, settings.topic_identities())
    join = OfflineJoin(rule, codec)
    if dry_run:
        return LetterReplay(topics, join, codec, None, progress).run(chosen)
    with ReplayedExamples(client, settings.topic(EXAMPLES), topics.events_id) as examples:
        return LetterReplay(topics, join, codec, examples, progress).run(chosen)


def _print(summary: LetterReplaySummary) -> None:
    from trimtab.tables import Entry, figures, show, streamed_lines, terminal_width

    title = "dead letters replayed" + (", dry run" if summary.dry_run else "")
    show(figures(title, ("", "count"), [(name, f"{count:,}") for name, count in _counts(summary)]))
    if summary.dry_run and summary.writable:
        say_next("trimtab dead-letters replay", "with the same options: it writes these examples")
    if summary.open:
        typer.echo("open decisions were skipped: run this again once `trimtab join` has committed past them")
    width = terminal_width()
    for left in summary.listed[:NAMED]:
        entry = Entry((str(left.partition), left.reason, left.request_id), (left.detail,))
        typer.echo("\n".join(streamed_lines(entry, width)))
    if (more := summary.remaining.total() - NAMED) > 0:
        typer.echo(f"… and {more} more; --json lists up to 1,000")


def _counts(summary: LetterReplaySummary) -> list[tuple[str, int]]:
    return [
        ("letters read", summary.letters),
        ("  foreign: about other topics", summary.foreign),
        ("  nameless: without request_id", summary.nameless),
        ("decisions", summary.decisions),
        ("  would be written" if summary.dry_run else "  written", summary.writable),
        ("  exists", summary.exists),
        ("  open: still open in the join", summary.open),
        *((f"  still {reason}", count) for reason, count in summary.remaining.most_common()),
    ]
