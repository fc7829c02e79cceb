"""What online experiments showed: `trimtab experiment read`, `conclude`, `ledger` and `releases`."""

from __future__ import annotations

from typing import Annotated

import typer

from policy_store.records import LEDGER_SLOT, Verdict
from trimtab.next_step import say_next
from trimtab.settings import load_settings
from trimtab.store_access import (
    AsJson,
    By,
    Reason,
    decider,
    echo_json,
    open_store,
    print_parts,
    statement,
    trust_rule,
)

ExperimentId = Annotated[str, typer.Argument(metavar="ID", help="Id of the experiment, or canary-VERSION.")]
Level = Annotated[float, typer.Option(min=0.5, max=0.9999, help="Coverage of the intervals.")]


def read(experiment_id: ExperimentId, level: Level = 0.95, as_json: AsJson = False) -> None:
    """Compare the arms of an experiment by intention to treat, from the examples stored on this machine.

    Example: trimtab experiment read sweep
    """
    from trimtab.online_looks import look_from_here

    settings = load_settings()
    experiment = settings.load_experiment()
    store, rule = open_store(settings, experiment), trust_rule(settings, experiment)
    look = look_from_here(settings, experiment, store, rule, experiment_id, level)
    if as_json:
        echo_json(look.as_dict())
        return
    from trimtab.experiment_tables import look_parts

    print_parts(*look_parts(look))
    say_next(f"trimtab experiment conclude {experiment_id} --help", "writes the result to the ledger, and ends it")


def conclude(
    experiment_id: ExperimentId,
    verdict: Annotated[Verdict, typer.Option(help="What people make of it.")],
    by: By,
    winner: Annotated[str | None, typer.Option(help="With --verdict adopted: the arm that was adopted.")] = None,
    override: Annotated[
        bool, typer.Option("--override-guardrails", help="Adopt an arm although it harms something.")
    ] = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Write what an experiment showed to the ledger, and end it: its users are served like all others.

    The figures are those of `trimtab experiment read` on this machine. An arm that harms an objective or one of the
    experiment's guardrails, overall or in a cohort, is not adopted, unless you override that. A canary goes on until it
    is promoted or withdrawn.

    Example: trimtab experiment conclude sweep --verdict adopted --winner a3 --by ada --reason "more saves, no loss"
    """
    from policy_store.decisions import conclude_experiment
    from trimtab.experiment_entry import ledger_content, require_counted, require_unharmed, require_unharmed_cohorts
    from trimtab.online_looks import keep_releases, look_from_here

    settings = load_settings()
    experiment = settings.load_experiment()
    store, rule = open_store(settings, experiment), trust_rule(settings, experiment)
    decision = decider(settings, rule, LEDGER_SLOT, statement(by, reason))
    look = look_from_here(settings, experiment, store, rule, experiment_id)
    require_counted(look.found, verdict)
    if winner is not None and not override:
        require_unharmed(look, winner)
        require_unharmed_cohorts(look, winner)
    content = ledger_content(look.plan, look.found, verdict, winner)
    entry = conclude_experiment(store, content, rule, decision)
    keep_releases(store, rule, look, "concluded", decision)
    if as_json:
        echo_json(entry.model_dump(mode="json"))
        return
    typer.echo(f"{experiment_id}: {entry.verdict}, entry {entry.revision} of the ledger")
    if entry.winner is not None:
        say_next("trimtab alpha propose --help", "puts an adopted preference in force")


def ledger(as_json: AsJson = False) -> None:
    """List the concluded experiments, after checking that no entry was changed or removed.

    Example: trimtab experiment ledger --json
    """
    from policy_store.decisions import read_ledger_verified

    settings = load_settings()
    experiment = settings.load_experiment()
    entries = read_ledger_verified(open_store(settings, experiment), trust_rule(settings, experiment))
    if as_json:
        echo_json([each.model_dump(mode="json") for each in entries])
    else:
        from trimtab.experiment_listings import ledger_listing

        print_parts(ledger_listing(entries))


def releases(as_json: AsJson = False) -> None:
    """List what became of releases: the lift expected offline beside the lift seen online, for each objective.

    A release is a checkpoint in an online experiment, a canary's too; it is listed once the experiment has ended.

    Example: trimtab experiment releases
    """
    from policy_store.decisions import kept_releases

    settings = load_settings()
    experiment = settings.load_experiment()
    found = kept_releases(open_store(settings, experiment))
    if as_json:
        echo_json(found)
    else:
        from trimtab.experiment_listings import release_listing

        print_parts(release_listing(found, experiment.objective_names))
