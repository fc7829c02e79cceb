"""The table of the study of warm starts, as one section of a page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import wrap
from typing import Any

from benchmarks.page_section import replace_section

HEADING = "## Warm starts: regret beside a network from scratch"
LINE = 120
WHAT = """
A parent network is trained on two weeks of explored rows; a week later each candidate is trained on the last two, of
which the second is as before or all of another taste, with as many steps on as many rows as a network from scratch.
Continued: from the parent's weights. Shrunk to s: from s times these and 1 − s times new ones. Better of two: half of
the steps each from scratch and continued, chosen on validation rows. Alarm: continued, or from scratch if the parent's
predictions explain the new rows with a slope below 0.5. The ratio of the regrets is a geometric mean over seeds, each
with a world, rows and networks of its own, with Student's 95 % interval of its logarithm. The world is
`benchmarks/shifting_world.py`; the figures are in `benchmarks/results/learner_warm_start.jsonl`.
"""


def write_page(page: Path, run: Mapping[str, Any]) -> None:
    """Replace the section of the page, or append it; other sections stay."""
    replace_section(page, HEADING, _section(run))


def _section(run: Mapping[str, Any]) -> list[str]:
    met = ", ".join(f"`{name}`" for name in run["met"]) or "no candidate"
    how = (
        f"Written by `python -m benchmarks.learner_warm_start` on {run['date']} at commit {run['commit']}, with"
        f" {run['rows_a_week']:,} rows a week. Upper bound at most 1.05 after a shift and ratio below 1 without one:"
        f" {met}."
    )
    return [
        HEADING,
        "",
        *wrap(how, LINE),
        "",
        *wrap(WHAT.strip(), LINE),
        "",
        "| taste | candidate | seeds | mean regret | ratio to scratch |",
        "|---|---|---|---|---|",
        *(_line(cell) for cell in run["figures"]),
        "",
        *_recovery(run["recovery"]),
        "",
    ]


def _recovery(found: Mapping[str, Any]) -> list[str]:
    halved = found["halved_at"]
    told = "The regret did not halve." if halved is None else f"About {halved:,} examples halve the regret."
    how = (
        f"After a shift, the window keeps two weeks and takes in examples of the new taste; a network starts from the"
        f" parent as `trimtab learn` does ({found['seeds']} seeds). {told}"
    )
    points = zip(found["examples"], found["regret"], strict=True)
    return [
        *wrap(how, LINE),
        "",
        "| examples of the new taste | regret |",
        "|---|---|",
        *(f"| {count:,} | {mean:.3f} ({lower:.3f} to {upper:.3f}) |" for count, (mean, lower, upper) in points),
    ]


def _line(cell: Mapping[str, Any]) -> str:
    mean, lower, upper = cell["ratio"]
    taste = "shifted" if cell["shift"] else "as before"
    ratio = "1" if cell["candidate"] == "scratch" else f"{mean:.3f} ({lower:.3f} to {upper:.3f})"
    return f"| {taste} | {cell['candidate']} | {cell['seeds']} | {cell['regret']:.4f} | {ratio} |"
