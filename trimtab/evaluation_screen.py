"""The answer of `trimtab evaluate` on one screen: the log's verdict, the policy beside the baseline, and the α.

At most 39 lines of 100 columns, whatever the experiment; `trimtab evaluate --full` has every policy, estimate and
cohort.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from event_schemas.instant import utc_text
from trimtab.lift_text import lift_in_words
from trimtab.tables import printable, wrapped

if TYPE_CHECKING:
    from learner.policy_comparison import Answer
    from off_policy.evaluation_report import FrontierPoint, PolicyObjective, PolicyReport
    from off_policy.paired_lift import PairedLift

WIDTH = 100
HEIGHT = 37
"""A terminal of 40 lines needs one for the prompt, and two say what to do next."""
REASONS_SHOWN = 3
OUTCOMES_SHOWN = 6
FEWEST_ALPHAS, MOST_ALPHAS = 3, 13
NAME = 24
FULL = "every policy, estimate and cohort: trimtab evaluate --full"


def screen_lines(answer: Answer) -> list[str]:
    """The lines; as many α as there is room for, evenly spread."""
    above = [*_log(answer), *_rows(answer), "", *_policy(answer)]
    below = ["", *_serving(answer), FULL]
    points = answer.report.frontier(_estimator(answer))
    room = min(max(HEIGHT - len(above) - len(below) - 3, FEWEST_ALPHAS), MOST_ALPHAS)
    return [*above, *_alphas(points, room, answer.report.objectives), *below]


def watched_beside(answer: Answer, policy: PolicyReport) -> Mapping[str, PolicyObjective]:
    """The policy on signals and guardrails; empty if there are none."""
    if answer.watched is None:
        return {}
    if policy is answer.report.baseline:
        return answer.watched.baseline.objectives
    return answer.watched.report_of(policy.name).objectives


def verdict_line(answer: Answer) -> str:
    """The log's verdict, with which every report begins."""
    return f"log {answer.log.verdict.value.replace('_', ' ')}"


def row_line(answer: Answer) -> str:
    """How many rows were judged, and from when until when."""
    span = f"{utc_text(answer.first)} to {utc_text(answer.last)}"
    return f"{answer.report.rows:,} explored decisions, {span}"


def _log(answer: Answer) -> Iterator[str]:
    yield verdict_line(answer)
    told = [f"{reason.code}: {reason.sentence}" for reason in answer.log.reasons]
    for sentence in told[:REASONS_SHOWN]:
        yield from _first(sentence, 2, "  ")
    if len(told) > REASONS_SHOWN:
        yield f"  and {len(told) - REASONS_SHOWN} more reasons"
    heavy = [f"{unit}" for unit in answer.log.heavy]
    if heavy:
        more = "" if len(heavy) == 1 else f" and {len(heavy) - 1} more"
        yield _cut(f"  left out: {heavy[0]}", WIDTH - len(more)) + more


def _rows(answer: Answer) -> Iterator[str]:
    yield row_line(answer)
    checkpoint = [] if answer.checkpoint is None else [f"checkpoint {answer.checkpoint}"]
    withheld = [f"{answer.withheld:,} more are shown once the gate has judged them"] if answer.withheld else []
    if checkpoint or withheld:
        yield _cut("; ".join([*checkpoint, *withheld]))
    if answer.linear_rival is not None and answer.linear_rival["wins"]:
        yield from _first(str(answer.linear_rival["sentence"]), 2)
    if answer.judged_online:
        yield _cut(f"judged by online experiments alone: {', '.join(answer.judged_online)}")


def _policy(answer: Answer) -> Iterator[str]:
    """The first policy beside the baseline, by the estimator that decisions are based on."""
    policy, level = answer.report.policies[0], answer.report.requirements.level
    agrees = f"agrees with {answer.report.baseline.name} in {policy.agreement:.1%} of requests"
    yield _cut(f"{policy.name}   ({agrees}; intervals of {level:.4g})")
    yield f"{'outcome':<{NAME}}{'baseline':>12}{'policy':>12}  lift"
    outcomes = {**policy.objectives, **watched_beside(answer, policy)}
    for name, found in list(outcomes.items())[:OUTCOMES_SHOWN]:
        lift = found.judged_lift
        value = found.estimates[lift.estimator].value if lift.estimator in found.estimates else math.nan
        cells = f"{_cut(name, NAME - 2):<{NAME}}{_number(lift.baseline_value):>12}{_number(value):>12}"
        yield _cut(f"{cells}  {lift_in_words(lift)}")
    if len(outcomes) > OUTCOMES_SHOWN:
        yield f"and {len(outcomes) - OUTCOMES_SHOWN} more outcomes"


def _alphas(points: Sequence[FrontierPoint], room: int, objectives: Sequence[str]) -> Iterator[str]:
    """A line for each α: its lifts, and whether another α is better on all objectives, or one is worse than before."""
    if not points:
        return
    count = min(len(points), room)
    places = sorted({round(number * (len(points) - 1) / max(count - 1, 1)) for number in range(count)})
    shown = "" if len(places) == len(points) else f" ({len(places)} of {len(points)})"
    yield ""
    yield f"lifts by α{shown}: * on the frontier, + and without a loss"
    yield "".join([f"{'':<12}", *(f"{_cut(name, 34):<36}" for name in objectives)]).rstrip()
    for place in places:
        point = points[place]
        mark = ("+" if point.proposable else "*") if point.on_front else " "
        alpha = f"{point.alpha:.4g}"
        yield "".join([f"{mark} {alpha:<10}", *(f"{_brief(point.lifts[name]):<36}" for name in objectives)]).rstrip()


def _serving(answer: Answer) -> Iterator[str]:
    yield from _first(answer.serving.detail, 2)
    for name, lift in list(answer.serving.lifts.items())[:FEWEST_ALPHAS]:
        yield _cut(f"lift of {name} over it: {lift_in_words(lift)}")


def _estimator(answer: Answer) -> str:
    """That of the lifts which decisions are based on."""
    found = answer.report.policies[0].objectives.values()
    return "dr" if all(each.dr_lift is not None for each in found) else "snips"


def _brief(lift: PairedLift) -> str:
    """The lift with its interval, or the code of what withholds it."""
    if lift.gateable and lift.relative_interval is not None:
        return _cut(lift_in_words(lift), 34)
    point = "undefined" if math.isnan(lift.relative) else f"{lift.relative:+.1%}"
    return point if lift.refusal is None else _cut(f"{point} {lift.refusal.code.value}", 34)


def _number(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:.6g}"


def _first(text: str, lines: int, indent: str = "") -> list[str]:
    """The first lines of a sentence, the last of them cut if there are more."""
    found = wrapped(text, WIDTH, indent)
    if len(found) <= lines:
        return [_cut(each) for each in found]
    return [*(_cut(each) for each in found[: lines - 1]), _cut(f"{found[lines - 1]} …")]


def _cut(text: str, room: int = WIDTH) -> str:
    indent = text[: len(text) - len(text.lstrip())]
    shown = text if text.isprintable() else indent + printable(text)
    return shown if len(shown) <= room else f"{shown[: room - 1]}…"
