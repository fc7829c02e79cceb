"""What an online experiment showed: `trimtab experiment read`, `conclude` and `ledger`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

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

if TYPE_CHECKING:
    from event_schemas.experiment import Experiment
    from learner.online_arms import OnlineComparison
    from policy_store.records import OnlineExperiment
    from trimtab.settings import Settings

ExperimentId = Annotated[str, typer.Argument(metavar="ID", help="Id of the experiment, or canary-VERSION.")]
Level = Annotated[float, typer.Option(min=0.5, max=0.9999, help="Coverage of the intervals.")]


def read(experiment_id: ExperimentId, level: Level = 0.95, as_json: AsJson = False) -> None:
    """Compare the arms of an experiment by intention to treat, from the examples stored on this machine.

    Example: trimtab experiment read sweep
    """
    from off_policy.arm_guardrails import guardrail_states
    from policy_store.decisions import planned_experiment

    settings = load_settings()
    experiment = settings.load_experiment()
    store, rule = open_store(settings, experiment), trust_rule(settings, experiment)
    plan = planned_experiment(store, experiment_id, rule, experiment)
    found = _compared(settings, experiment, plan, level)
    states = guardrail_states(found.comparison, plan.guardrails, experiment.gate.margin)
    if as_json:
        echo_json(found.as_dict() | {"guardrails": states})
        return
    from trimtab.experiment_tables import comparison_parts, guardrail_lines

    print_parts(*comparison_parts(found), *guardrail_lines(states, experiment.gate.margin))
    say_next(f"trimtab experiment conclude {experiment_id} --help", "writes the result to the ledger, and ends it")


def conclude(
    experiment_id: ExperimentId,
    verdict: Annotated[Verdict, typer.Option(help="What people make of it.")],
    by: By,
    winner: Annotated[str | None, typer.Option(help="With --verdict adopted: the arm that was adopted.")] = None,
    override: Annotated[
        bool, typer.Option("--override-guardrails", help="Adopt an arm although it harms a guardrail.")
    ] = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Write what an experiment showed to the ledger, and end it: its users are served like all others.

    The figures are those of `trimtab experiment read` on this machine. An arm that harms one of the experiment's
    guardrails is not adopted, unless you override that. A canary goes on until its channel is changed.

    Example: trimtab experiment conclude sweep --verdict adopted --winner a3 --by ada --reason "more saves, no loss"
    """
    from off_policy.arm_guardrails import guardrail_states
    from policy_store.decisions import conclude_experiment, planned_experiment
    from trimtab.experiment_entry import ledger_content, require_counted, require_unharmed

    settings = load_settings()
    experiment = settings.load_experiment()
    store, rule = open_store(settings, experiment), trust_rule(settings, experiment)
    plan = planned_experiment(store, experiment_id, rule, experiment)
    decision = decider(settings, rule, LEDGER_SLOT, statement(by, reason))
    found = _compared(settings, experiment, plan, 0.95)
    require_counted(found, verdict)
    if winner is not None and not override:
        require_unharmed(guardrail_states(found.comparison, plan.guardrails, experiment.gate.margin), winner)
    content = ledger_content(plan, found, verdict, winner)
    entry = conclude_experiment(store, content, rule, decision)
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


def _compared(settings: Settings, experiment: Experiment, plan: OnlineExperiment, level: float) -> OnlineComparison:
    """The comparison of its arms, of all requests from its start to its planned end that are there by now."""
    from learner.checkpoints import learner_directory
    from learner.examples import ExplorationShelf
    from learner.learner_run import EXAMPLES_FOLDER, EXPLORATIONS_FOLDER
    from learner.online_arms import OnlineArms, compare_online_arms
    from off_policy.arm_comparison import ArmDesign

    shares = {arm.name: arm.share for arm in plan.arms}
    design = ArmDesign(shares, plan.control, level, experiment.gate.min_positives)
    question = OnlineArms(plan.id, design, plan.start, plan.planned_end)
    directory = learner_directory(settings.data_dir, experiment)
    explorations = ExplorationShelf(directory / EXPLORATIONS_FOLDER).load()
    return compare_online_arms(question, directory / EXAMPLES_FOLDER, experiment, explorations)
