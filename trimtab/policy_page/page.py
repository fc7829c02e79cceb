"""Fills the template with the report's own values and with charts of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from event_schemas.instant import utc_text
from off_policy.frontier_chart import frontier_chart, lifts_over_alpha_chart
from off_policy.svg_rendering import to_svg
from trimtab.policy_page.charts import frontiers_chart, lines_chart, pairs_chart

if TYPE_CHECKING:
    from learner.policy_report import FrontierPart, ReportContent

TEMPLATES = Path(__file__).parent / "templates"
ESTIMATOR = "dr"
SHOWN_ALPHAS = 13


def render_page(content: ReportContent, now: datetime) -> str:
    """The page as HTML; its numbers are those of `content.as_dict()`. Needs altair, vl-convert and jinja2."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": percent,
        "signed": signed,
        "count": lambda number: f"{number:,}",
        "number": number_text,
        "utc": utc_text,
        "role": role_text,
        "sentence": lambda text: text if text.endswith((".", "!", "?")) else f"{text}.",
    }
    report = content.as_dict()
    return environment.get_template("policy_report.html.j2").render(
        r=report,
        made_at=f"{now:%Y-%m-%d %H:%M} UTC",
        objectives=report["evaluation"]["report"]["objectives"],
        preferred=report["evaluation"]["report"]["policies"][0],
        baseline=report["evaluation"]["report"]["baseline"]["name"],
        shown=[shown_points(part["points"]) for part in report["frontiers"]],
        charts=_charts(content, report),
    )


def shown_points(points: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """At most SHOWN_ALPHAS of the points, evenly spread, both ends included."""
    if len(points) <= SHOWN_ALPHAS:
        return list(points)
    return [points[round(place * (len(points) - 1) / (SHOWN_ALPHAS - 1))] for place in range(SHOWN_ALPHAS)]


def percent(share: float | None, digits: int = 1) -> str:
    """A share in percent."""
    return "undefined" if share is None or share != share else f"{100 * share:.{digits}f} %"


def signed(share: float | None, digits: int = 1) -> str:
    """A relative lift in percent, with its sign."""
    return "undefined" if share is None or share != share else f"{100 * share:+.{digits}f} %"


def number_text(value: float | None) -> str:
    """Four significant digits."""
    return "undefined" if value is None or value != value else f"{value:.4g}"


def role_text(role: str) -> str:
    """What a candidate of the frontier is called."""
    return "knee" if role == "knee" else f"leaning to {role.removeprefix('leans:')}"


def _charts(content: ReportContent, report: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "frontiers": [_frontier(part) for part in content.frontiers],
        "band": _band(content.frontiers[0]) if content.frontiers else None,
        "calibration": {name: _calibration(each["bins"], name) for name, each in report["calibration"].items()},
        "uplift": {name: _uplift(deciles, name) for name, deciles in report["uplift"].items()},
        "weights": _weights(report["chosen_weights"]),
        "sweeps": {each["head"]: _sweep(each) for each in report["head_contribution"]["sweeps"]},
        "isolation": _isolation(report["isolation"], content.answer.report.objectives),
    }


def _frontier(part: FrontierPart) -> Markup:
    whose = "all requests" if part.cohort is None else f"cohort {part.cohort}"
    return _svg(frontier_chart(part.report, ESTIMATOR), f"{whose}: the frontier of lifts over α")


def _band(part: FrontierPart) -> Markup:
    return _svg(lifts_over_alpha_chart(part.report, ESTIMATOR), "lifts over α with their simultaneous band")


def _calibration(bins: Sequence[Mapping[str, Any]], name: str) -> Markup:
    rows = [{"x": each["predicted"], "y": each["observed"], "low": None, "high": None} for each in bins]
    return _svg(pairs_chart(rows, f"predicted {name}", "observed"), f"{name}: predicted and observed rewards by decile")


def _uplift(deciles: Sequence[Mapping[str, Any]], name: str) -> Markup:
    rows = []
    for each in deciles:
        lift = each["lift"]
        bounds = lift["interval"] if lift["gateable"] else None
        low, high = (None, None) if bounds is None else (bounds["lower"], bounds["upper"])
        rows.append({"x": each["predicted"], "y": lift["value"], "low": low, "high": high})
    chart = pairs_chart(rows, f"predicted gain of {name}", "gain in the log")
    return _svg(chart, f"{name}: predicted and observed gain by decile")


def _weights(chosen: Sequence[Mapping[str, Any]]) -> Markup | None:
    """Mean weights as places in their range, and Diversity, over α."""
    family = [each for each in chosen if each["alpha"] is not None]
    rows = [
        {
            "x": each["alpha"],
            "y": 100.0 * (use["mean"] - use["low"]) / (use["high"] - use["low"]),
            "series": f"mean {use['weight']}, % of range",
        }
        for each in family
        for use in each["uses"]
    ]
    rows += [
        {"x": each["alpha"], "y": 100.0 * each["most_common_share"], "series": "most common arm, %"} for each in family
    ]
    return _svg(lines_chart(rows, "α", "%"), "mean weights and Diversity over α") if family else None


def _sweep(sweep: Mapping[str, Any]) -> Markup:
    pairs = zip(sweep["values"], sweep["contributions"], strict=True)
    rows = [{"x": value, "y": 100.0 * share, "series": sweep["head"]} for value, share in pairs]
    chart = lines_chart(rows, f"weight of {sweep['head']}", "contribution, %")
    return _svg(chart, f"contribution of {sweep['head']} as its weight moves")


def _isolation(groups: Sequence[Mapping[str, Any]], objectives: Sequence[str]) -> Markup | None:
    if not groups or len(objectives) != 2:
        return None
    rows = [
        {
            "x": 100.0 * point["lifts"][objectives[0]]["relative"],
            "y": 100.0 * point["lifts"][objectives[1]]["relative"],
            "alpha": point["alpha"],
            "series": group["group"],
        }
        for group in groups
        for point in group["frontier"]
        if all(lift["relative"] is not None for lift in point["lifts"].values())
    ]
    chart = frontiers_chart(rows, f"{objectives[0]}: lift, %", f"{objectives[1]}: lift, %")
    return _svg(chart, "frontiers of linear fits to single groups of features")


def _svg(chart: Any, description: str) -> Markup:
    return Markup(to_svg(chart, description))
