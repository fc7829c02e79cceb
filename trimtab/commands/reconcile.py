"""`trimtab reconcile`: checks the output of the join against the log."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from event_schemas.errors import SettingError
from event_schemas.topics import DEAD_LETTERS, EVENTS, EXAMPLES
from trimtab.live_bar import live_bar
from trimtab.settings import load_settings

SHOWN_DIFFERENCES = 20

if TYPE_CHECKING:
    from stream_processors.audit import ReconcileOutcome, ReconcileReport


def reconcile(
    start: Annotated[
        str | None, typer.Option("--from", help="Check from OFFSET, or PARTITION=OFFSET,…; default: the start.")
    ] = None,
    end: Annotated[
        str | None,
        typer.Option("--to", help="Check up to OFFSET (exclusive), or PARTITION=OFFSET,…; default: the end."),
    ] = None,
    processed: Annotated[
        bool, typer.Option("--processed", help="Check only what the join has committed as processed.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as one JSON object.")] = False,
) -> None:
    """Join the events again with a slow, independent reference; compare fates, examples, rewards, dead letters.

    The exit code is 1 on any difference. Second copies (after a crash) are counted, but are no difference if they equal
    the first, which readers keep. An example that `trimtab dead-letters replay` wrote is no difference either if
    joining its records offline yields the same example.

    Example: trimtab reconcile --processed --json
    """
    from stream_processors.audit import JoinTopics
    from stream_processors.audit import reconcile as run
    from stream_processors.rule import JoinRule

    settings = load_settings()
    if processed and end is not None:
        raise SettingError("--processed and --to exclude each other", fix="leave one of them out")
    rule = JoinRule.from_experiment(settings.load_experiment())
    settings.require_rights(settings.topic(topic) for topic in (EVENTS, EXAMPLES, DEAD_LETTERS))
    topics = JoinTopics.under(settings.kafka_client_config(), settings.topic_prefix, settings.topic_identities())
    partitions = topics.events.partitions
    if processed:
        committed = topics.committed()
        limits = {p: committed[p].settled if p in committed else 0 for p in range(partitions)}
    else:
        limits = parse_offsets("--to", end, partitions)
    codec = settings.codec(reads_only=True)
    with live_bar(stays=False) as show:
        outcome = run(topics, rule, codec, parse_offsets("--from", start, partitions), limits, show)
    if as_json:
        typer.echo(json.dumps(outcome.as_dict()))
    else:
        _print(outcome)
    if not outcome.report.ok:
        raise typer.Exit(1)


def parse_offsets(option: str, text: str | None, partitions: int) -> dict[int, int]:
    """`7` (every partition) or `0=7,3=12`; empty when nothing is given. Raises SettingError."""
    if text is None:
        return {}
    try:
        if text.isdecimal():
            return dict.fromkeys(range(partitions), int(text))
        pairs = [part.split("=") for part in text.split(",")]
        offsets = {int(partition): int(offset) for partition, offset in pairs}
    except ValueError as fault:
        raise SettingError(
            f"{option} {text!r} is not understood", fix="write an offset, or PARTITION=OFFSET,PARTITION=OFFSET"
        ) from fault
    unknown = [partition for partition in offsets if not 0 <= partition < partitions]
    if unknown:
        named = ", ".join(map(str, unknown))
        raise SettingError(f"{option}: there is no partition {named}", fix=f"partitions are 0 to {partitions - 1}")
    return offsets


def register(app: typer.Typer) -> None:
    """Adds `trimtab reconcile`."""
    app.command("reconcile")(reconcile)


def _print(outcome: ReconcileOutcome) -> None:
    from trimtab.tables import figures, show, show_text

    report = outcome.report
    fates = {**report.fates, "pending": report.pending}
    rows = [
        (name, f"{events:,}")
        for fate, number in fates.items()
        for name, events in ((fate, number), *(_reasons(report) if fate == "outside" else ()))
        if events
    ]
    checks = [(name, *(f"{count:,}" for count in counts)) for name, counts in _checks(report).items()]
    show(
        figures(f"{report.inputs:,} events", ("fate", "events"), rows),
        figures("what the join wrote", ("", "examples", "dead letters"), checks),
    )
    if report.replayed:
        show_text(
            f"{report.replayed} examples were replayed from dead letters and verified;"
            f" {report.dead_letters_mended} of their dead letters are obsolete"
        )
    for difference in report.differences[:SHOWN_DIFFERENCES]:
        show_text(difference, "  ")
    if (more := report.total_differences - SHOWN_DIFFERENCES) > 0:
        show_text(f"… and {more:,} more; --json lists up to 1,000", "  ")
    if outcome.unprocessed:
        show_text(f"{outcome.unprocessed} events are after the join's last commit: is `trimtab join` running?")
    show_text("ok: the join wrote exactly what the log requires" if report.ok else "NOT ok: see the differences above")


def _reasons(report: ReconcileReport) -> list[tuple[str, int]]:
    """Why engagements count for no objective."""
    return [(f"  {reason.replace('_', ' ')}", events) for reason, events in report.outside.items()]


def _checks(report: ReconcileReport) -> dict[str, tuple[int, int]]:
    """Counts of examples and of dead letters, for each result of the comparison."""
    return {
        "expected": (report.examples_expected, report.dead_letters_expected),
        "lost": (report.lost, report.dead_letters_missing),
        "extra": (report.unexpected, report.dead_letters_extra),
        "differing": (report.differing, report.dead_letters_differing),
        "second copies": (report.duplicated, report.dead_letters_repeated),
        "  of these differing": (report.duplicated_differing, report.dead_letters_repeated_differing),
    }
