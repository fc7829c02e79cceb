"""The table of the study of learners' regret, as one section of a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

from benchmarks.page_section import replace_section

HEADING = "## Learners: regret by explored rows"
LINE = 120
WHAT = """
Regret is the share of what the best arm of each request gains over production, at α, that the learner's policy misses:
0 is the best choice for each request, 1 is production, more is worse than production. It is exact on 2,000 requests of
the day after the 14 days of training rows, in the simulated homefeed with every request explored
(`benchmarks/learner_world.toml`). Seeds draw other requests, arms and outcomes of the same users; intervals are
Student's over seeds. Differences are from the network on the same seeds, below 0 where the learner is better. Boosted
trees were not run: nothing that Trimtab installs has them. The figures are in
`benchmarks/results/learner_regret.jsonl`.
"""


def write_page(page: Path, run: Mapping[str, Any]) -> None:
    """Replace the section of the page, or append it; other sections stay."""
    replace_section(page, HEADING, _section(run))


def _section(run: Mapping[str, Any]) -> list[str]:
    note = f" {run['note']}" if run.get("note") else ""
    how = f"Written by `python -m benchmarks.learner_regret` on {run['date']} at commit {run['commit']}.{note}"
    left = run["not_run"]
    missing = f"Planned and not run: {', '.join(left)}." if left else "Every planned log was run."
    alphas = [f"{alpha:.2f}" for alpha in run["alphas"]]
    return [
        HEADING,
        "",
        *wrap(how, LINE),
        "",
        *wrap(WHAT.strip(), LINE),
        "",
        "| rows | learner | seeds | CPU s | " + " | ".join(f"regret at α = {alpha}" for alpha in alphas) + " |",
        "|---|---|---|---|" + "---|" * len(alphas),
        *(_line(cell, cell["regret"]) for cell in run["figures"]),
        "",
        "| rows | learner | seeds | CPU s | " + " | ".join(f"difference at α = {alpha}" for alpha in alphas) + " |",
        "|---|---|---|---|" + "---|" * len(alphas),
        *(_line(cell, cell["beside_network"]) for cell in run["figures"] if cell["learner"] != "q_network"),
        "",
        *wrap(missing, LINE),
        "",
    ]


def _line(cell: Mapping[str, Any], figures: Sequence[Sequence[float | None]]) -> str:
    shown = " | ".join(_shown(each) for each in figures)
    seconds = "–" if cell["cpu_s"] is None else f"{cell['cpu_s']:.1f}"
    return f"| {cell['rows']:,} | `{cell['learner']}` | {cell['seeds']} | {seconds} | {shown} |"


def _shown(figure: Sequence[float | None]) -> str:
    mean, lower, upper = figure
    return f"{mean:.3f}" if lower is None or upper is None else f"{mean:.3f} ({lower:.3f} to {upper:.3f})"
