"""The tables of the study of learners' regret, as one section of a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
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
Student's over seeds. Differences are from the network on the same seeds, below 0 where the learner is better.
`best_arm` is the arm with the best self-normalised mean for everyone, `arm_table` a shrunk mean by arm and device.
`boosted_trees` (scikit-learn) and `vowpal_wabbit` read the same columns of user and arm as `linear`; each had three
settings, chosen on validation rows of another seed (`benchmarks/learner_peers.py`). CPU seconds are those of a fit in
one thread. With fewer than three shared seeds none is said to be ahead, whatever the interval. Each run is a line of
`benchmarks/results/learner_regret.jsonl`.
"""
AHEAD = {"network": "the network is ahead", "linear": "`linear` is ahead", "open": "it is open"}


def write_page(page: Path, run: Mapping[str, Any]) -> None:
    """Replace the section of the page, or append it; other sections stay."""
    replace_section(page, HEADING, _section(run))


def _section(run: Mapping[str, Any]) -> list[str]:
    when = ", ".join(f"on {date} at commit {commit}" for date, commit in run["measured"])
    alphas = [f"{alpha:.2f}" for alpha in run["alphas"]]
    compared = [cell for cell in run["figures"] if cell["learner"] != "q_network" and cell["beside_network"]]
    return [
        HEADING,
        "",
        *wrap(f"Written by `python -m benchmarks.learner_regret`, measured {when}.", LINE),
        "",
        *wrap(WHAT.strip(), LINE),
        "",
        "| rows | learner | seeds | CPU s | " + " | ".join(f"regret at α = {alpha}" for alpha in alphas) + " |",
        "|---|---|---|---|" + "---|" * len(alphas),
        *(_line(cell, cell["regret"]) for cell in run["figures"]),
        "",
        "| rows | learner | seeds | CPU s | " + " | ".join(f"difference at α = {alpha}" for alpha in alphas) + " |",
        "|---|---|---|---|" + "---|" * len(alphas),
        *(_line(cell, cell["beside_network"]) for cell in compared),
        "",
        "Where network and `linear` cross:",
        "",
        *(line for each in run["ahead"] for line in wrap(_crossing(each), LINE, subsequent_indent="  ")),
        "",
        *wrap(_missing(run["not_run"]), LINE),
        "",
    ]


def _line(cell: Mapping[str, Any], figures: Sequence[Sequence[float | None]]) -> str:
    shown = " | ".join(_shown(each) for each in figures)
    return f"| {cell['rows']:,} | `{cell['learner']}` | {cell['seeds']} | {cell['cpu_s']:.1f} | {shown} |"


def _shown(figure: Sequence[float | None]) -> str:
    mean, lower, upper = figure
    return f"{mean:.3f}" if lower is None or upper is None else f"{mean:.3f} ({lower:.3f} to {upper:.3f})"


def _crossing(found: Mapping[str, Any]) -> str:
    by_rows = "; ".join(f"at {rows:,} rows {AHEAD[name]}" for rows, name in found["by_rows"].items())
    crossing = found["crossing"]
    verdict = "no crossing among these sizes" if crossing is None else f"between {crossing[0]:,} and {crossing[1]:,}"
    return f"- α = {found['alpha']:.2f}: {by_rows or 'not measured'}: {verdict}."


def _missing(not_run: Sequence[tuple[int, int, Sequence[str]]]) -> str:
    """The planned runs that there are not, by rows and learner."""
    missing = sorted((rows, name, seed) for rows, seed, names in not_run for name in names)
    if not missing:
        return "Every planned log was run."
    parts = [
        f"{rows:,} rows, `{name}`: {_seeds([seed for _, _, seed in group])}"
        for (rows, name), group in groupby(missing, key=lambda each: each[:2])
    ]
    return f"Planned and not run: {'; '.join(parts)}."


def _seeds(seeds: Sequence[int]) -> str:
    first, last = min(seeds), max(seeds)
    if len(seeds) == 1:
        return f"seed {first}"
    return f"seeds {first} to {last}" if len(seeds) == last - first + 1 else f"{len(seeds)} seeds"
