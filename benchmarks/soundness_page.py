"""The tables of the study of the log's check, as one section of a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

from benchmarks.page_section import replace_section

HEADING = "## Log soundness: which logs are stopped"
LINE = 120

FAULTS: Mapping[str, str] = {
    "factor_up": "all propensities 1.2 times the true ones",
    "factor_down": "all propensities 0.8 times the true ones",
    "half_the_arms": "half of the arms drawn 20 % more, half 20 % less than logged",
    "half_the_arms_with_foreign": "the same, with 60 rows of another policy between",
    "arms_missing": "20 % of the rows of half of the arms missing",
    "zeros_dropped": "20 % of the rows without a reward dropped",
    "doubled": "20 % of the rows doubled under other ids",
    "bot": "5 % of the rows from one user id",
}

WHAT = """
A log is stopped if its verdict is unsound. Each log is a week of decisions of 2,000 users, the most active of whom act
20 times as often as the median, drawn from 51 arms, with the tallies of its producers. Its rows name no exploration
settings, so that no draw can be recomputed. A moving rate is doubled on the fourth day and lowered to 40 % on the last
two; lost rows or sessions are not stored. Each of 300 lists of eligible arms has half of the arms and a distribution of
its own; most lists are rare, and one arm is in every tenth list only. Intervals are exact (Clopper and Pearson). The
figures are in `benchmarks/results/soundness.jsonl`.
"""


def write_page(page: Path, run: Mapping[str, Any]) -> None:
    """Replace the section of the page, or append it; other sections stay."""
    replace_section(page, HEADING, _section(run))


def _section(run: Mapping[str, Any]) -> list[str]:
    cells = run["figures"]
    sound = [cell for cell in cells if not cell["fault"]]
    stopped, logs = sum(cell["stopped"] for cell in sound), sum(cell["logs"] for cell in sound)
    how = (
        f"Written by `python -m benchmarks.soundness` on {run['date']} at commit {run['commit']}, seed {run['seed']}. "
        "A fault must stop at least 95 % of its logs of 10,000 rows, and at most one in 1,000 of all sound logs may be "
        f"stopped: {stopped} of {logs:,} are."
    )
    missed = run["missed"]
    return [
        HEADING,
        "",
        *wrap(how, LINE),
        "",
        *wrap(WHAT.strip(), LINE),
        "",
        *_table("fault", [(_described(cell["name"]), cell) for cell in cells if cell["fault"]]),
        "",
        *_table("sound logs", [(cell["name"], cell) for cell in sound]),
        "",
        *(["Bars missed:", "", *(f"- {line}" for line in missed)] if missed else ["Every bar is met."]),
        "",
    ]


def _described(name: str) -> str:
    """The fault, and what else is said of its world after a comma."""
    fault, *rest = name.split(", ", 1)
    return ", ".join([FAULTS[fault], *rest])


def _table(title: str, rows: Sequence[tuple[str, Mapping[str, Any]]]) -> list[str]:
    lines = [
        f"| {title} | rows | logs | stopped | share | 95 % interval | first reasons |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, cell in rows:
        lower, upper = cell["interval"]
        reasons = ", ".join(f"`{code}` {count}" for code, count in cell["reasons"].items()) or "–"
        share = f"{cell['stopped'] / cell['logs']:.4f} | {lower:.4f}–{upper:.4f}"
        lines.append(f"| {name} | {cell['rows']:,} | {cell['logs']:,} | {cell['stopped']:,} | {share} | {reasons} |")
    return lines
