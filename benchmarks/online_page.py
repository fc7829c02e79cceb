"""The tables of daily looks at online experiments, as one section of a page."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

HEADING = "## Online experiments: daily looks"
LINE = 120
Cells = Sequence[Mapping[str, Any]]

WHAT = """
Two arms of equal users; a user comes on a day with a chance of his own (two days in five on average), makes 1 to 20
requests (six on average), and has a taste that multiplies reward rates, gamma with the shape in the column (∞: users
are alike). `reward` is the control's mean of the first objective; the second has a third of it, and a guardrail asks
per user-day for any reward. All runs are looked at every day for 90 days, from the burn-in on (100 effective users and
50 with a positive outcome in each arm), and a run counts if *any* look says so: no rule of stopping can do worse.
"""


def write_section(page: Path, run: Mapping[str, Any], groups: Mapping[str, Cells]) -> None:
    """Replace the section of the page, or append it; other sections stay."""
    text = page.read_text(encoding="utf-8") if page.exists() else "# Measured results\n"
    section = "\n".join(_section(run, groups))
    found = re.compile(rf"^{re.escape(HEADING)}$.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    rewritten = found.sub(lambda _: section + "\n", text) if found.search(text) else f"{text}\n{section}\n"
    page.write_text(rewritten.rstrip("\n") + "\n", encoding="utf-8")


def _section(run: Mapping[str, Any], groups: Mapping[str, Cells]) -> list[str]:
    how = (
        f"Written by `make online-looks` on {run['date']} at commit {run['commit']}: {run['runs']:,} runs of each"
        f" world, {run['runs'] // 4:,} of those with a true lift, seed {run['seed']}, error budget 0.05, margin 0.01."
        " The figures are in `benchmarks/results/online_looks.jsonl`."
    )
    lines = [HEADING, "", *wrap(how, LINE), "", *wrap(WHAT.strip(), LINE)]
    lines += ["", "### Zero lift: declared superior or harmed within 90 days", ""]
    lines += ["`one-look rule` is what 1.645 standard errors on either objective would declare at some look.", ""]
    lines += _table(groups["null"], {"superior": "superior", "harmed": "harmed", "naive": "one-look rule"})
    lines += ["", "### +30 % on one objective, just worse than −margin on the other: adopted within 90 days", ""]
    lines += _table(groups["boundary"], {"adopted": "adopted", "harmed": "harmed"})
    lines += ["", "### True lift: days until it is shown", ""]
    days = (
        "Days until a look shows that one of the two objectives is superior, in half and in 80 % of runs; until 80 %"
        " are adopted, that is, also not worse than −margin on anything; and the day on which a single look at one"
        " objective, fixed beforehand, would have 80 % power."
    )
    lines += [*wrap(days, LINE), ""]
    names = {"days_median": "half", "days_80": "80 %", "days_adopted_80": "adopted", "days_80_one_look": "one look"}
    lines += _table(groups["power"], {"superior": "superior", **names})
    missed = run["missed"]
    lines += ["", f"Bars missed: {len(missed)}." if missed else "Every world meets every bar.", ""]
    return lines + [f"- {line}" for line in missed] + ([""] if missed else [])


def _table(cells: Cells, names: Mapping[str, str]) -> list[str]:
    headings = ["reward", "users per arm", "lifts", "tastes", "first request", *names.values()]
    lines = [f"| {' | '.join(headings)} |", "|---" * len(headings) + "|"]
    for cell in cells:
        world = cell["world"]
        row = [
            f"{world['rate']:g}",
            f"{world['users']:,}",
            ", ".join(f"{each:+.1%}" for each in world["lift"]),
            "∞" if world["spread"] > 1e6 else f"{world['spread']:g}",
            "over 60 days" if world["arriving"] else "day 1",
            *(_shown(name, cell[name]) for name in names),
        ]
        lines.append(f"| {' | '.join(row)} |")
    return lines


def _shown(name: str, value: float | None) -> str:
    if value is None:
        return "over 90"
    return f"{value:.0f}" if name.startswith("days") else f"{value:.4f}"
