"""`trimtab evaluate`: what a policy would have earned, from the explored examples stored on this machine."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from event_schemas.errors import SettingError
from trimtab.checkpoint_reference import checkpoint_named
from trimtab.lift_text import lift_in_words, serving_lines
from trimtab.next_step import say_next
from trimtab.settings import load_settings
from trimtab.store_access import VERSION_HELP, open_store, trust_rule, version_names

if TYPE_CHECKING:
    from learner.judgement import TableLayout
    from learner.policy_comparison import Answer
    from off_policy.estimates import Estimate, Interval
    from off_policy.evaluation_report import PolicyObjective

LAYOUT_FIELDS = {
    "arm": "arm_column",
    "probability": "probability_column",
    "position": "position_column",
    "feature": "position_feature",
    "base": "position_base",
}

NAMED_POLICIES = ("learned", "uniform", "production")
OTHER_POLICIES = f"{', '.join(NAMED_POLICIES)}, arm:NAME, a Parquet file"
EXAMPLES = {"--table": "position=position,base=1", "--where": "campaign=all"}


def evaluate(
    policy: Annotated[
        str,
        typer.Option(
            help="learned (this machine's newest checkpoint), uniform, production, arm:NAME (that arm for everybody), "
            f"a Parquet file with probabilities by arm, or another checkpoint: {VERSION_HELP}",
            autocompletion=lambda: [*NAMED_POLICIES, *version_names()],
        ),
    ] = "learned",
    every_row: Annotated[bool, typer.Option("--all", help="All stored rows, not only the held-out ones.")] = False,
    level: Annotated[float, typer.Option(min=0.5, max=0.9999, help="Coverage of the intervals.")] = 0.95,
    table: Annotated[
        str,
        typer.Option(help="File: how to read it, as NAME=VALUE,…; NAME: arm, probability, position, feature, base."),
    ] = "",
    where: Annotated[list[str] | None, typer.Option(help="File: only rows with column=value; repeatable.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Every policy, estimate and cohort, on many screens.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole report as JSON.")] = False,
) -> None:
    """Estimate a policy's value and its lift over the baseline, with intervals where they are valid.

    Values are rewards per request in the objective's own unit: with clip 5, a mean rating of 4.01 is 4.01.

    The log's verdict comes first, by the tallies that `trimtab learn` read last. On an unsound log values have no
    intervals. One screen has the policy beside the baseline, the lifts by α and those over the checkpoint that is
    serving; --full has everything else.

    The baseline is production for weights, and the logging policy for a catalogue. A policy file for a box of weights
    has a column `request_id`, one for each weight with its mean, and one named sd.WEIGHT for each if the policy draws
    weights from a normal distribution; one row without `request_id` holds for all requests. Any other policy file has a
    column with the arm's name (`arm`, default item_id) and one with its probability (`probability`). If the policy
    depends on a position, `position` names the column that counts it from 0, `feature` the context feature that logs it
    (default position), and `base` the value of that feature at position 0 (default 1). A checkpoint that is not on this
    machine is read from the policy store.

    The last lines are the policy's lifts over the checkpoint that is serving, or why there are none; with --full, also
    by cohort.

    Example: trimtab evaluate --policy bts_policy.parquet --table position=position,base=1 --where campaign=all --all
    """
    from learner.checkpoints import CHECKPOINTS_FOLDER, CheckpointShelf, learner_directory, read_serving, stored_run
    from learner.examples import (
        EXAMPLES_FOLDER,
        EXPLORATIONS_FOLDER,
        TALLIES_FILE,
        ExplorationShelf,
        TallyShelf,
        forgotten_counts,
        stored_examples,
    )
    from learner.policy_comparison import Question, compare
    from trimtab.evaluation_screen import screen_lines
    from trimtab.process_log import log_to_stderr
    from trimtab.tables import show

    log_to_stderr()
    settings = load_settings()
    experiment = settings.load_experiment()
    directory = learner_directory(settings.data_dir, experiment)
    layout = _layout(_pairs("--table", table.split(",") if table else []), _pairs("--where", where or []))
    shelf = CheckpointShelf(directory / CHECKPOINTS_FOLDER)
    checkpoint, store = None, open_store(settings, experiment)
    if not _is_no_version(policy):
        checkpoint = checkpoint_named(policy, shelf, store, trust_rule(settings, experiment), OTHER_POLICIES)
    rule = partial(trust_rule, settings, experiment)
    serving, last_run = read_serving(store, rule, shelf), stored_run(store, rule)
    forgotten = forgotten_counts(directory / EXAMPLES_FOLDER)
    asked = policy if checkpoint is None else "learned"
    question = Question(asked, every_row, level, layout, checkpoint, serving, forgotten, last_run)
    explorations = ExplorationShelf(directory / EXPLORATIONS_FOLDER).load()
    tallies = TallyShelf(directory / TALLIES_FILE).load()
    answer = compare(question, stored_examples(directory / EXAMPLES_FOLDER), shelf, experiment, explorations, tallies)
    if as_json:
        typer.echo(json.dumps({"policy": policy, **answer.as_dict()}))
    else:
        _show_all(answer) if full else show(*screen_lines(answer))
        if question.policy == NAMED_POLICIES[0]:
            say_next("trimtab status", "it says whether a checkpoint waits for somebody to promote it")


def register(app: typer.Typer) -> None:
    """Adds `trimtab evaluate`."""
    app.command("evaluate")(evaluate)


def _is_no_version(policy: str) -> bool:
    """Whether `policy` is a named policy or a file, and so no checkpoint version."""
    named = policy in NAMED_POLICIES or policy.startswith("arm:")
    return named or policy.endswith(".parquet") or len(Path(policy).parts) > 1 or Path(policy).exists()


def _layout(table: Mapping[str, str], where: Mapping[str, str]) -> TableLayout:
    from learner.judgement import TableLayout

    unknown = sorted(set(table) - set(LAYOUT_FIELDS))
    base, pairs = table.get("base", "1"), ",".join(f"{name}={value}" for name, value in table.items())
    if unknown or not re.fullmatch(r"-?[0-9]{1,9}", base):
        raise SettingError(
            f"--table {pairs} is not understood", fix=f"give {', '.join(LAYOUT_FIELDS)}; base is a whole number"
        )
    fields: dict[str, Any] = {LAYOUT_FIELDS[name]: value for name, value in table.items() if name != "base"}
    return TableLayout(**fields, position_base=int(base), where=where)


def _pairs(option: str, texts: list[str]) -> Mapping[str, str]:
    pairs = {}
    for text in texts:
        column, equals, value = text.partition("=")
        if not equals or not column:
            raise SettingError(
                f"{option} {text!r} is not name=value", fix=f"write, for example, {option} {EXAMPLES[option]}"
            )
        pairs[column] = value
    return pairs


def _show_all(answer: Answer) -> None:
    from trimtab.evaluation_screen import row_line, verdict_line, watched_beside
    from trimtab.tables import figures, show, show_text

    report = answer.report
    show_text(verdict_line(answer))
    for reason in answer.log.reasons:
        show_text(f"{reason.code}: {reason.sentence}", "  ")
    for unit in answer.log.heavy:
        show_text(f"left out: {unit}", "  ")
    show_text(row_line(answer))
    if answer.checkpoint is not None:
        show(f"checkpoint {answer.checkpoint}")
    if answer.withheld:
        show_text(f"{answer.withheld:,} more are shown once the gate has judged them")
    if answer.judged_online:
        show_text(
            f"counted per session or user-day, so judged by online experiments: {', '.join(answer.judged_online)}"
        )
    for policy in (report.baseline, *report.policies):
        show("")
        show_text(f"{policy.name}   (agrees with the baseline in {policy.agreement:.1%} of requests)")
        outcomes = {**policy.objectives, **watched_beside(answer, policy)}
        for objective, result in outcomes.items():
            rows = [_cells(estimate) for estimate in result.estimates.values()]
            show(figures(objective, ("estimator", "value", "interval", "matched", "positives", "ESS"), rows))
        if policy is not report.baseline:
            for line in _lifts(outcomes):
                show_text(line, "  ")
    show("")
    for line in serving_lines(answer.serving):
        show_text(line)


def _cells(estimate: Estimate) -> tuple[str, ...]:
    refused = "" if estimate.refusal is None else estimate.refusal.code.value
    return (
        estimate.estimator,
        _number(estimate.value),
        _interval(estimate.interval) if estimate.gateable else refused,
        str(estimate.matched_rows),
        str(estimate.positives),
        _number(estimate.ess),
    )


def _lifts(outcomes: Mapping[str, PolicyObjective]) -> Iterator[str]:
    for objective, result in outcomes.items():
        yield f"lift of {objective}: {lift_in_words(result.judged_lift)}"


def _interval(interval: Interval | None) -> str:
    return "" if interval is None else f"[{interval.lower:.5g}, {interval.upper:.5g}]"


def _number(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:.6g}"
