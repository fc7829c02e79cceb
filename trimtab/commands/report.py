"""`trimtab report`: one page for whoever chooses α and whoever has to trust it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from event_schemas.errors import SettingError
from trimtab.checkpoint_reference import checkpoint_named
from trimtab.next_step import say_next
from trimtab.settings import load_settings
from trimtab.store_access import VERSION_HELP, open_store, trust_rule, version_names

NEWEST = "learned"


def write_report(
    policy: Annotated[
        str,
        typer.Option(
            help=f"learned (this machine's newest checkpoint), or another checkpoint: {VERSION_HELP}",
            autocompletion=lambda: [NEWEST, *version_names()],
        ),
    ] = NEWEST,
    out: Annotated[Path, typer.Option(help="Where to write the page.")] = Path("report.html"),
    isolate_features: Annotated[
        bool, typer.Option("--isolate-features", help="Fit a linear model to each group of features alone.")
    ] = False,
    head_weight: Annotated[
        list[str] | None,
        typer.Option(help="NAME=VALUE: the weight of a ranker head that is not tuned; repeatable."),
    ] = None,
    level: Annotated[float, typer.Option(min=0.5, max=0.9999, help="Coverage of single intervals.")] = 0.95,
    as_json: Annotated[bool, typer.Option("--json", help="Print the content as JSON instead of a page.")] = False,
) -> None:
    """Write a page about a policy: its frontier over α, candidates, cohorts, calibration, weights and the log.

    The page is one file without scripts or links to elsewhere. It judges the rows that `trimtab evaluate` does: those
    on which the checkpoint was not trained. What the log cannot answer is said in a sentence, with what it needs.

    Example: trimtab report --out report.html --head-weight closeup=12
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
    from learner.policy_comparison import Question
    from learner.policy_report import ReportOptions, report_content
    from trimtab.process_log import log_to_stderr

    log_to_stderr()
    settings = load_settings()
    experiment = settings.load_experiment()
    weights = head_weights(head_weight or [], experiment.action_space.weight_names)
    directory = learner_directory(settings.data_dir, experiment)
    shelf = CheckpointShelf(directory / CHECKPOINTS_FOLDER)
    store, rule = open_store(settings, experiment), partial(trust_rule, settings, experiment)
    named = None if policy == NEWEST else checkpoint_named(policy, shelf, store, rule(), NEWEST)
    serving, last_run = read_serving(store, rule, shelf), stored_run(store, rule)
    forgotten = forgotten_counts(directory / EXAMPLES_FOLDER)
    question = Question(NEWEST, False, level, checkpoint=named, serving=serving, forgotten=forgotten, last_run=last_run)
    kept = ExplorationShelf(directory / EXPLORATIONS_FOLDER).load(), TallyShelf(directory / TALLIES_FILE).load()
    options = ReportOptions(weights, isolate_features, on_stage=lambda text: typer.echo(text, err=True))
    content = report_content(question, stored_examples(directory / EXAMPLES_FOLDER), shelf, experiment, kept, options)
    if as_json:
        typer.echo(json.dumps(content.as_dict(), allow_nan=False))
        return
    from trimtab.policy_page import render_page

    out.write_text(render_page(content, datetime.now(UTC)), encoding="utf-8")
    typer.echo(f"{out} written: {content.answer.report.rows:,} rows, checkpoint {content.checkpoint.version}")
    say_next("trimtab alpha propose ALPHA", "choose α from the page; somebody else approves it")


def head_weights(pairs: Sequence[str], tuned: Sequence[str]) -> Mapping[str, float]:
    """The weights of heads that are not tuned, from texts NAME=VALUE. Raises SettingError."""
    found = {}
    for pair in pairs:
        match = re.fullmatch(r"(?P<name>[^=]+)=(?P<value>-?[0-9]{1,9}(\.[0-9]{1,9})?)", pair)
        if match is None or match["name"] in tuned:
            raise SettingError(
                f"--head-weight {pair!r} is not the weight of another head",
                fix="write NAME=VALUE with a number, for a head that is not among [[weights]]",
            )
        found[match["name"]] = float(match["value"])
    return found


def register(app: typer.Typer) -> None:
    """Add `trimtab report`."""
    app.command("report")(write_report)
