"""The tables of the coverage study, as one section of a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

from benchmarks.page_section import replace_section

HEADING = "## Intervals: how often they err"
LINE = 120
HITS = "hits"
Runs = Mapping[str, Mapping[str, Any]]
"""Group of cells -> a run: when and how it was counted, and its `figures` by cell."""
Cells = Sequence[Mapping[str, Any]]

KINDS: Mapping[str, Callable[[str], bool]] = {
    "Values (IPS, SNIPS, DR and SN-DR)": lambda name: not name.endswith(("lift", "relative")),
    "Lifts (SNIPS and DR)": lambda name: name.endswith("lift"),
    "Relative lifts (SNIPS and DR), which the gate reads": lambda name: name.endswith("relative"),
}
AT_HIT: Mapping[str, Callable[[str], bool]] = {"Values (Reward@HIT, Clopper and Pearson)": lambda _: True}
GROUPS: Mapping[str, tuple[str, Mapping[str, Callable[[str], bool]]]] = {
    "binary": ("rewards of 0 or 1", KINDS),
    "counts": ("counts up to 5", KINDS),
    "ratings": ("ratings of 0.5 to 5", KINDS),
    HITS: ("rewards of 0 or 1", AT_HIT),
}
"""Group -> its rewards in words, and its tables."""


def write_page(page: Path, runs: Runs) -> None:
    """Replace the section of the page, or append it; other sections stay."""
    replace_section(page, HEADING, _section(runs))


HOW = """
Written by `make coverage` from worlds with known truth. A one-sided error is the share of all logs in which an interval
was given and lies wholly above, or below, the truth.
"""
WHAT = """
Each row is the worst of: even and uneven propensities, and policies that share half of the users with the baseline;
1, 10 and 50 rows a user; a reward model that is right, constant, or three times too high. Users differ elevenfold in
their rates; the policy's arm raises rates by a fifth. `reward` is the share of rows with a reward under the baseline;
counts are 1.9 on average where they are not 0, ratings 3.6. λ is the number of positives that are expected in the
policy's rows; where the policies share users, half of them are in rows in which they differ, and only these decide a
lift. `answered` are the least and the largest share of logs with an answer; where the deciding rows have λ and degrees
of freedom of 30 or more, it must be 0.9. `width` is the largest mean half-width relative to the delta method's; where
the deciding rows have λ of 100 or more, it may be 1.15. The last two columns are the errors of the delta method with
Student's t if it always answered. The figures of each world are in `benchmarks/results/interval_coverage.jsonl`.
"""


def _section(runs: Runs) -> list[str]:
    lines = [HEADING, "", *wrap(HOW.strip(), LINE), ""]
    for group, run in runs.items():
        lines += wrap(f"- {_counted(group, run)}", LINE, subsequent_indent="  ")
    lines += ["", *wrap(WHAT.strip(), LINE)]
    for group, run in runs.items():
        rewards, tables = GROUPS[group]
        for title, belongs in tables.items():
            lines += ["", f"### {title}: {rewards}", "", *_table(belongs, run["figures"])]
    missed = [f"{group}: {line}" for group, run in runs.items() for line in run["missed"]]
    lines += ["", f"Bars missed: {len(missed)}." if missed else "Every cell meets every bar.", ""]
    return lines + [f"- {line}" for line in missed[:50]] + ([""] if missed else [])


def _counted(group: str, run: Mapping[str, Any]) -> str:
    nominal = (1 - run["level"]) / 2
    return (
        f"`{group}` on {run['date']} at commit {run['commit']}: {run['cells']} worlds, {run['replications']:,} logs"
        f" each, seed {run['seed']}, level {run['level']:g}. An error may be {nominal:g}, and in so many logs "
        f"{run['limit']:.4f} (three standard errors more)."
    )


def _table(belongs: Callable[[str], bool], cells: Cells) -> list[str]:
    found: dict[tuple[float, float, int], list[Mapping[str, Any]]] = {}
    for cell in cells:
        world = cell["world"]
        key = (world["rate"], world["factor"], world["ess"])
        found.setdefault(key, []).extend(each for each in cell["intervals"] if belongs(each["name"]))
    lines = [
        "| reward | ESS | λ | answered | error above | error below | width | delta: above | delta: below |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for (rate, factor, ess), rows in sorted(found.items()):
        answered = [each["answered"] for each in rows]
        widths = [each["width"] for each in rows if each["width"] is not None]
        reward = f"{rate:g}" if factor < 2 else f"{rate * factor:g} against {rate:g}"
        worst = [max(each[name] for each in rows) for name in ("above", "below", "plain_above", "plain_below")]
        cell_values = [
            reward,
            f"{ess:,}",
            f"{rate * ess:g}",
            f"{min(answered):.2f}–{max(answered):.2f}",
            *(f"{each:.4f}" for each in worst[:2]),
            f"{max(widths):.2f}" if widths else "–",
            *(f"{each:.4f}" for each in worst[2:]),
        ]
        lines.append(f"| {' | '.join(cell_values)} |")
    return lines
