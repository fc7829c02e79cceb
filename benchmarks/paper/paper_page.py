"""The paper's findings as one section of a page."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import Any

from benchmarks.page_section import replace_section
from benchmarks.paper.lift_points import COHORTS

HEADING = "## The paper's findings: PRL-PUTS on a simulated homefeed"
CHART = "paper_agreement"
LINE = 120
OBJECTIVES = ("repin", "P2P")
Figure = Sequence[float | None]

WHAT = """
The paper's system, on the simulated world `homefeed`, whose exact values are known. A learner is trained on 14 explored
days; policies π_α are judged by Reward@HIT (SNIPS) on the 7 days after them, over 25 α, with production as an arm of
its own. Then nine α, an α for each cohort, and production run as arms of an online experiment on other users of the
same world; users are split by the experiment's own coin, and the exported graph decides through the vectorised agent,
which decides as the real one does, field by field (decision 31). All lifts are over production, in percent. Brackets
are 95 % intervals over seeds (Student's), each seed with other requests, arms and outcomes; intervals inside a seed
are by user. """
DIFFERS = (
    "Traffic, users and the ranker are simulated. Every request is explored instead of 1.25 %, and production is an arm"
    " of its own with 1/8 of the exploration: it is not on the paper's grid, so that Reward@HIT could not see it.",
    "The paper reports correlations of 0.999 and 0.986 over three α. Here r is over nine, beside what noise allows,"
    " with slope, intercept, signs and the coverage of intervals.",
    "Effects are other ones: α = 0 loses a sixth of the P2P here. Successful sessions are not measured.",
    "Finding 5 (A.1 to A.5) is not part of this section; finding 6, regret by learner, is the section"
    ' "Learners: regret by explored rows".',
)


def write_page(page: Path, run: Mapping[str, Any]) -> None:
    """Replace the section of the page, or append it; other sections stay."""
    replace_section(page, HEADING, list(_section(run)))


def shown(figure: Figure, digits: int = 2) -> str:
    """Mean and interval of a figure over seeds; – for one that no seed has."""
    mean, lower, upper = figure
    if mean is None:
        return "–"
    if lower is None or upper is None:
        return f"{mean:+.{digits}f}"
    return f"{mean:+.{digits}f} ({lower:+.{digits}f} to {upper:+.{digits}f})"


def _section(run: Mapping[str, Any]) -> Iterator[str]:
    sizes, figures = run["sizes"], run["figures"]
    yield from (
        HEADING,
        "",
        *wrap(_how(run), LINE),
        "",
        *wrap(WHAT.strip(), LINE),
        "",
        "What differs from the paper:",
        "",
    )
    for each in DIFFERS:
        yield from wrap(each, LINE, initial_indent="- ", subsequent_indent="  ")
    if not run["full"]:
        small = (
            f"This is the reduced study: the learner is `{sizes['learner']}` and not the network, and intervals of so"
            " few explored rows are wide: they are shown, and nothing is asserted of r. `make paper-full` has at least"
            " two million explored hold-out rows and 20 seeds."
        )
        yield from wrap(small, LINE, initial_indent="- ", subsequent_indent="  ")
    yield ""
    parts: dict[str, Callable[[Any], Iterator[str]]] = {
        "agreement": _agreement,
        "trade_off": _trade_off,
        "cohorts": _cohorts,
        "personalisation": _personalisation,
        "controls": _controls,
    }
    for name, lines in parts.items():
        if name in figures:
            yield from lines(figures[name])
            yield ""


def _how(run: Mapping[str, Any]) -> str:
    cpu = ", ".join(f"{name} {value:,.0f}" for name, value in run["cpu_s"].items())
    rows = run["rows"]
    size = f" Each seed: {_counts(rows[0])}." if rows else ""
    note = f" {run['note']}" if run.get("note") else ""
    left = f" Planned and not run: {', '.join(run['not_run'])}." if run["not_run"] else ""
    return (
        f"Written by `{run['command']}` on {run['date']} at commit {run['commit']}; seeds 1 to"
        f" {max(len(rows), 1)}.{size} CPU seconds: {cpu}.{left}{note}"
        " The figures are in `benchmarks/results/paper.jsonl`."
    )


def _counts(rows: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name} rows" for name, count in rows.items())


def _agreement(cells: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield from ("### 1. Offline against online lift, nine α", "")
    yield f"![Online against offline lifts](../benchmarks/results/{CHART}.svg)"
    yield ""
    told = (
        "Slope and intercept are those of online on offline lifts. Beside them is what estimates with these standard"
        " errors would reach if the errors of different α were independent; they are not, as all α share production's"
        " rows and most decisions, so r and slope may well be larger. r of the truths is that of exact lifts on the"
        " hold-out and on the online requests. Clear α are those of which both intervals leave out 0, over all seeds."
    )
    yield from wrap(told, LINE)
    yield ""
    yield "| | " + " | ".join(OBJECTIVES) + " |"
    yield "|---|" + "---|" * len(OBJECTIVES)
    rows = {
        "slope": "slope",
        "slope_ceiling": "slope if errors were independent",
        "intercept": "intercept, %",
        "r": "r",
        "r_ceiling": "r if errors were independent",
        "r_truth": "r of the truths",
        "signs": "share of α with one sign",
    }
    for field, name in rows.items():
        yield f"| {name} | " + " | ".join(shown(cell[field]) for cell in cells) + " |"
    yield "| clear α; share with one sign | " + " | ".join(_clear(cell) for cell in cells) + " |"
    for place, side in enumerate(("offline", "online")):
        counts = [f"{cell['covered'][place]} of {cell['intervals'][place]}" for cell in cells]
        yield f"| {side} intervals that hold the truth | " + " | ".join(counts) + " |"


def _clear(cell: Mapping[str, Any]) -> str:
    return f"{cell['clear']}; {shown(cell['clear_signs'])}" if cell["clear"] else "0"


def _trade_off(found: Mapping[str, Any]) -> Iterator[str]:
    yield from ("### 2. Table 1's shape: three α", "")
    order = "; ".join(f"{name} in {count} of {found['seeds']} seeds" for name, count in found["ordered"].items())
    told = (
        "Balanced is the α with the best smaller lift on the hold-out, the others are its neighbours on the grid of"
        " nine. Offline lifts of the chosen α are too good by the choice; online ones are not. In the paper Repin falls"
        f" and P2P rises from row to row. Here so: {order}."
    )
    yield from wrap(told, LINE)
    yield ""
    yield "| policy | α | " + " | ".join(f"{name} {what}" for what in _SIDES for name in OBJECTIVES) + " |"
    yield "|---|---|" + "---|" * len(_SIDES) * len(OBJECTIVES)
    for row in found["rows"]:
        lifts = [shown(row[side][place][field]) for side, field in _SIDES.values() for place in range(len(OBJECTIVES))]
        yield f"| {row['name']} | {row['alpha'][0]:.2f} | " + " | ".join(lifts) + " |"


_SIDES = {"offline": ("offline", "lift"), "online": ("online", "lift"), "true online": ("online", "true")}


def _cohorts(found: Mapping[str, Any]) -> Iterator[str]:
    yield from ("### 3. Table 2: an α for each cohort", "")
    told = (
        "A choice is judged by its worst exact lift over both objectives and all cohorts on fresh requests: at 0 or"
        " above it degrades nobody. Estimates inside a cohort have standard errors of several percent, so choices by"
        " them differ from seed to seed; choices by exact values show what is there to be found with this learner."
    )
    yield from wrap(told, LINE)
    yield ""
    yield "| choice | α of " + ", ".join(COHORTS) + " | worst lift, % | seeds in which nobody is worse off |"
    yield "|---|---|---|---|"
    for row in found["rows"]:
        alphas = ", ".join(f"{row['alphas'][name][0]:.2f}" for name in COHORTS)
        yield f"| {row['name']} | {alphas} | {shown(row['worst'])} | {row['harmless']} of {found['seeds']} |"
    yield ""
    yield from wrap("The online arm whose cohorts have the α that were chosen by estimates:", LINE)
    yield ""
    yield "| cohort | " + " | ".join(f"{name} {what}" for what in ("online", "true") for name in OBJECTIVES) + " |"
    yield "|---|" + "---|" * 2 * len(OBJECTIVES)
    for cohort, points in found["online"].items():
        yield f"| {cohort} | " + " | ".join(shown(each[field]) for field in ("lift", "true") for each in points) + " |"


def _personalisation(cells: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield from ("### 4. Table 3: personalised against static weights", "")
    told = (
        "Exact values of the same fresh requests. Nearest is the static arm of the grid that is nearest to the learned"
        " policy's average weights, as in the paper; marginal deals out the learned policy's own arms among the"
        " requests without regard to who asks. Gains are of the utility at α, in percent of production's."
    )
    yield from wrap(told, LINE)
    yield ""
    yield (
        "| α | average weights | "
        + " | ".join(f"{name}: {each}" for name in _RIVALS for each in OBJECTIVES)
        + (" | gain over nearest | gain over marginal |")
    )
    yield "|---|---|" + "---|" * (len(_RIVALS) * len(OBJECTIVES) + 2)
    for cell in cells:
        weights = " / ".join(f"{each[0]:.1f}" for each in cell["weights"])
        lifts = [shown(each) for name in _RIVALS for each in cell["lifts"][name]]
        gains = [shown(cell["gain"][name]) for name in ("nearest", "marginal")]
        yield f"| {cell['alpha']:.3g} | {weights} | " + " | ".join([*lifts, *gains]) + " |"


_RIVALS = ("learned", "nearest", "marginal")


def _controls(found: Mapping[str, Any]) -> Iterator[str]:
    yield from ("### 7. Controls that must come out the other way", "")
    told = (
        "At α = 0.5, in percent of production's utility: what the learned policy gains over static arms. Without"
        " heterogeneity (world `no_heterogeneity`) there is nothing to personalise, so that it must not gain over the"
        " arm of its own average weights or over the best static one; over its own marginal it gains a little, as it"
        " errs less for users who engage more."
    )
    yield from wrap(told, LINE)
    names = {"nearest": "own average weights", "best": "best static arm", "marginal": "own marginal"}
    yield from (
        "",
        "| world | over " + " | over ".join([*names.values(), "production"]) + " |",
        "|---|---|---|---|---|",
    )
    for world, title in (("alike", "no heterogeneity"), ("homefeed", "homefeed")):
        gains = found["gains"][world]
        yield f"| {title} | " + " | ".join(shown(gains[name]) for name in (*names, "production")) + " |"
    told = (
        "The regret at α = 0.5 (0: the best arm of each request, 1: production) of learners that are given one group of"
        " features alone. In the homefeed context alone is weakest, as in A.4; where users are alike and only device"
        " and hour decide what they want, it must be the best."
    )
    yield from (
        "",
        *wrap(told, LINE),
        "",
        "| world | user | history | context | context − user |",
        "|---|---|---|---|---|",
    )
    for world, regrets in found["regret"].items():
        yield f"| {world} | " + " | ".join(shown(each) for each in regrets.values()) + " |"
    told = (
        "Propensities of CORE logged as half of what they were: the log check must stop the log. Errors are those of"
        " production's estimated value, in percent of the exact one."
    )
    yield from ("", *wrap(told, LINE), "", "| log | stopped | error, repin | error, P2P |", "|---|---|---|---|")
    for name, each in found["logs"].items():
        errors = " | ".join(shown(error) for error in each["error"])
        yield f"| {name} | {each['stopped']} of {found['seeds']} | {errors} |"
