"""The table that compares what the gate reads of different learners, as one section of a page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import wrap
from typing import Any

from benchmarks.page_section import replace_section

HEADING = "## The gate's inputs: the network beside a ridge regression"
LINE = 120


def write_page(page: Path, run: Mapping[str, Any]) -> None:
    """Replace the section of the page, or append it; other sections stay."""
    replace_section(page, HEADING, _section(run))


def _section(run: Mapping[str, Any]) -> list[str]:
    logs, requests = run["figures"][0]["logs"], run["requests"]
    how = (
        f"Written by `python -m benchmarks.gate_learners` on {run['date']} at commit {run['commit']}, seed "
        f"{run['seed']}: {logs} logs of the world `homefeed`, {requests:,} requests in 21 days each, 60 % explored "
        "over 17 arms. Each learner is trained on 14 days and judged in a first look at the seven days after them. An "
        "error is that of a judged lift over production against the true lift of the same policy on the same rows, in "
        "the standard errors that its interval implies. Logs are simulated, so their completeness is not in question."
    )
    missed = run["missed"]
    return [
        HEADING,
        "",
        *wrap(how, LINE),
        "",
        "| learner | lifts | mean error | spread of errors | intervals that hold the truth | median half-width |"
        " mean true lift | verdicts | wrong passes | seconds to train |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *(_row(each) for each in run["figures"]),
        "",
        *(["Bars missed:", "", *(f"- {line}" for line in missed)] if missed else ["Every bar is met."]),
        "",
    ]


def _row(each: Mapping[str, Any]) -> str:
    covered = f"{each['covered']} of {each['lifts']} (level {each['level']:.2f})"
    verdicts = ", ".join(f"{name} {count}" for name, count in each["verdicts"].items())
    errors = f"{each['error_mean']:+.2f} | {each['error_spread']:.2f}"
    first = f"| `{each['learner']}` | {each['lifts']} | {errors} | {covered} | {each['half_width']:.3f} |"
    return f"{first} {each['true_lift']:+.3f} | {verdicts} | {each['wrong']} | {each['seconds']:.1f} |"
