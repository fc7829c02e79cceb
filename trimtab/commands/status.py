"""`trimtab status`: the configured experiment on one screen, and what to do next."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import typer

from event_schemas.errors import TrimtabError
from event_schemas.instant import wall_clock_ms
from trimtab.process_exit import FAILED
from trimtab.settings import Settings, load_settings
from trimtab.store_access import AsJson, echo_json, open_store, print_parts, trust_rule

if TYPE_CHECKING:
    from event_schemas.experiment import Experiment
    from trimtab.status.status_facts import StatusFacts


def status(as_json: AsJson = False) -> None:
    """Show the state of the experiment on one screen: join, examples, verdict, channels, kills, nodes, next step.

    Events, examples and dead letters are counted by offsets; no record is read and nothing is changed. If Kafka or
    Redis does not answer, the rest is shown and the exit code is 1. It is also 1 if a node, the learner or the join has
    another experiment file than this command.

    Example: trimtab status
    """
    from trimtab.status.next_action import next_actions
    from trimtab.status.status_screen import screen_lines

    settings = load_settings()
    facts = gather(settings, settings.load_experiment())
    first, *others = next_actions(facts)
    if as_json:
        echo_json(facts.as_dict() | {"next_action": first.as_dict(), "also": [each.as_dict() for each in others]})
    else:
        print_parts(*screen_lines(facts, [first, *others]))
    if facts.faults or facts.differences:
        raise typer.Exit(FAILED)


def register(app: typer.Typer) -> None:
    """Adds `trimtab status`."""
    app.command("status")(status)


def gather(settings: Settings, experiment: Experiment) -> StatusFacts:
    """Query every component; one that does not answer becomes a fault and does not stop the others."""
    from trimtab.status.log_facts import read_log_facts
    from trimtab.status.status_facts import SHELF, StatusFacts
    from trimtab.status.store_facts import StoreQuestions, newest_on_shelf

    now_ms, faults = wall_clock_ms(), dict[str, TrimtabError]()
    store = log = shelf = None
    try:
        with closing(open_store(settings, experiment)) as opened:
            questions = StoreQuestions(opened, trust_rule(settings, experiment), experiment, now_ms, faults)
            store = questions.answers()
    except TrimtabError as fault:
        faults["policy store"] = fault
    try:
        log = read_log_facts(settings)
    except TrimtabError as fault:
        faults["log"] = fault
    try:
        shelf = newest_on_shelf(settings.data_dir, experiment)
    except TrimtabError as fault:
        faults[SHELF] = fault
    return StatusFacts(experiment.name, now_ms, log, store, shelf, faults, experiment.window_ms)
