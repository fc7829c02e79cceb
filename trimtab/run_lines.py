"""A run of the learner in lines for people: the log, the windows and rows, the verdict and why, and the lifts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from event_schemas.instant import utc_text
from off_policy.paired_lift import PairedLift
from trimtab.lift_text import lift_in_words, serving_lines

if TYPE_CHECKING:
    from learner.learner_run import RunReport

LABEL = 11


def run_lines(report: RunReport) -> Iterator[tuple[str, str]]:
    """Pairs of a label, empty where the one above goes on, and a sentence."""
    content = report.as_dict()
    if content["log"] is not None:
        yield "log", content["log"]["verdict"].replace("_", " ")
        yield from (("", f"{reason['code']}: {reason['sentence']}") for reason in content["log"]["reasons"])
    yield "checkpoint", f"{content['version']}   {content['window']['start']}"
    yield from _window(content["window"], content["seconds_training"] if report.trained else None)
    if report.rival is not None and report.rival.sentence is not None:
        yield "", report.rival.sentence
    yield "verdict", f"{content['verdict']}: {', '.join(content['reason_codes'])}"
    yield from (("", reason) for reason in content["reasons"])
    yield from _lifts(content, report.checkpoint.manifest.evaluation)
    if report.published is None and not report.trained:
        return
    yield "channel", content["channel"] or "none"
    if content["held"]:
        yield "", f"it passed, but {content['held']}"
    if report.evaluation is not None:
        first, *others = serving_lines(report.evaluation.serving)
        yield "serving", first
        yield from (("", line) for line in others)


def _window(window: Mapping[str, Any], seconds: float | None) -> Iterator[tuple[str, str]]:
    """Without `seconds` nothing was trained: the window is that of the checkpoint that stands."""
    if seconds is None:
        yield "", "not trained again: no held-out example is newer, so it stands with its verdict"
    ends = {name: utc_text(window[name]) for name in ("train_from", "train_to", "holdout_from", "holdout_to")}
    yield "window", f"trained on {ends['train_from']} to {ends['train_to']}"
    yield "", f"held out {ends['holdout_from']} to {ends['holdout_to']}"
    validated = window.get("validation_rows", 0)
    took = "" if seconds is None else f" in {seconds:.1f} s"
    trained = f"trained on {window['examples'] - validated:,} explored examples{took}"
    aside = f", validated on {validated:,}" if validated else ""
    yield "rows", f"{trained}{aside}, held out {window['holdout_examples']:,}"
    left = [f"{count:,} {reason.replace('_', ' ')}" for reason, count in window["left_out"].items() if count]
    if left:
        yield "", f"left out: {', '.join(left)}"


def _lifts(content: Mapping[str, Any], evaluation: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The judged lifts; the reasons of the verdict say why there are none."""
    lifts = {name: PairedLift.from_dict(each) for name, each in content["lifts"].items()}
    guarded = {f"guardrail {name}": PairedLift.from_dict(each) for name, each in content["guardrail_lifts"].items()}
    if not lifts:
        yield "lifts", "none: the judging half was not looked at"
        return
    level = next((each.relative_interval.level for each in lifts.values() if each.relative_interval is not None), None)
    covered = "" if level is None else f", intervals of {level:.4g}"
    yield "lifts", f"over {evaluation['baseline']} on {evaluation['rows']:,} judged rows{covered}"
    yield from (("", f"{name}: {lift_in_words(lift)}") for name, lift in (lifts | guarded).items())
