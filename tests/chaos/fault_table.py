"""Reports the verdicts: as a table on the terminal, and as Markdown and JSON on disk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.chaos.judgement import Verdict

COLUMNS = (
    "fault",
    "events",
    "examples",
    "lost",
    "differing",
    "second copies",
    "rebalances",
    "own ends",
    "recovery s",
    "verdict",
)


def passed(verdicts: Sequence[Verdict]) -> bool:
    """Whether every run was exact and every fault real."""
    return all(verdict.exact and verdict.valid for verdict in verdicts)


def cells(verdict: Verdict) -> tuple[str, ...]:
    """One row, in the order of COLUMNS."""
    recovery = "-" if verdict.recovery_seconds is None else f"{verdict.recovery_seconds:.1f}"
    outputs = (verdict.events, verdict.examples, verdict.lost, verdict.differing, verdict.second_copies)
    counts = (*outputs, verdict.rebalances, verdict.own_ends)
    return (verdict.title, *(f"{count:,}" for count in counts), recovery, word(verdict))


def word(verdict: Verdict) -> str:
    """`exact`, `WRONG`, or `invalid` when a fault did not take place."""
    if not verdict.exact:
        return "WRONG"
    return "exact" if verdict.valid else "invalid"


def print_table(verdicts: Sequence[Verdict], console: Console) -> None:
    """Print the table, and below it what is wrong with rows that did not pass."""
    table = Table(*COLUMNS, title="chaos on a real broker: what each fault cost")
    table.columns[0].min_width = 30
    for column in table.columns[1:-1]:
        column.justify = "right"
    for verdict in verdicts:
        table.add_row(*cells(verdict), style=None if verdict.exact and verdict.valid else "red")
    console.print(table)
    for line in complaints(verdicts):
        console.print(line, style="red", highlight=False)


def complaints(verdicts: Sequence[Verdict]) -> list[str]:
    """One line for each difference and each fault that did not take place."""
    lines = []
    for verdict in verdicts:
        lines += [f"{verdict.name}: not proved: {proof}" for proof in verdict.proofs if not proof.holds]
        if not verdict.exact:
            lines += [f"{verdict.name}: {note}" for note in verdict.notes]
    return lines


def markdown(verdicts: Sequence[Verdict]) -> str:
    """The table, then each schedule's proofs."""
    lines = [f"| {' | '.join(COLUMNS)} |", f"|{'|'.join(['---', *['---:'] * (len(COLUMNS) - 2), '---'])}|"]
    lines += [f"| {' | '.join(cells(verdict))} |" for verdict in verdicts]
    for verdict in verdicts:
        fates = ", ".join(f"{count} {fate}" for fate, count in verdict.fates.items() if count)
        lines += ["", f"## {verdict.name}", "", f"{verdict.title}; {verdict.seconds:.0f} s. Fates: {fates}.", ""]
        lines += [f"- {'' if proof.holds else 'NOT PROVED: '}{proof}" for proof in verdict.proofs]
        lines += [f"- {note}" for note in verdict.notes]
    return "\n".join(lines) + "\n"


def write(verdicts: Sequence[Verdict], directory: Path) -> None:
    """`chaos.json` and `chaos.md`."""
    directory.mkdir(parents=True, exist_ok=True)
    content: list[dict[str, Any]] = [verdict.as_dict() for verdict in verdicts]
    (directory / "chaos.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    (directory / "chaos.md").write_text(markdown(verdicts), encoding="utf-8")
