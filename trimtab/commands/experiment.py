"""`trimtab experiment`: online experiments between checkpoints and preferences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from event_schemas.duration import duration_option
from event_schemas.instant import parse_instant, utc_text, wall_clock_ms
from event_schemas.units import MINUTE_MS
from policy_store.records import EXPERIMENTS_SLOT
from trimtab.commands.experiment_results import conclude, ledger, read, releases
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
    from policy_store.backends import PolicyStore
    from policy_store.decisions import TrustRule
    from policy_store.records import ExperimentArm, ExperimentsRecord
    from trimtab.tables import Listing

ExperimentId = Annotated[str, typer.Argument(metavar="ID", help="Id of the experiment.")]
Share = Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of all users, in (0, 1].")]
PICKED_UP = "it shows which nodes serve its arms, a few seconds from now"
experiment_app = typer.Typer(no_args_is_help=True, help="Online experiments, and the ledger of concluded ones.")


def register(app: typer.Typer) -> None:
    """Adds `trimtab experiment …`."""
    app.add_typer(experiment_app, name="experiment")


@experiment_app.command()
def start(  # noqa: PLR0913  one parameter for each option
    experiment_id: ExperimentId,
    arm: Annotated[
        list[str],
        typer.Option(help="NAME,key=value,…; keys: version, alpha, share, weight.OBJECTIVE. Once per arm."),
    ],
    share: Share,
    by: By,
    control: Annotated[str, typer.Option(help="The arm that others are compared with; as stable if not given.")] = (
        "control"
    ),
    run_for: Annotated[str, typer.Option("--for", help="How long it runs, such as 14d.")] = "14d",
    start_at: Annotated[str, typer.Option("--start", help="When it starts, in ISO 8601; default: in a minute.")] = "",
    log_rate: Annotated[
        float | None, typer.Option(min=0.0, max=1.0, help="P(logged); default: serving.experiment_log_rate.")
    ] = None,
    guardrail: Annotated[
        list[str] | None, typer.Option(help="Guardrail to watch; default: all of the experiment file.")
    ] = None,
    mixed_fleet: Annotated[
        bool, typer.Option("--mixed-fleet", help="Start it although nodes of 0.1.0 are alive, which serve no arms.")
    ] = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Start an online experiment, signed with TRIMTAB_SIGNING_KEY: its users are drawn from the start on.

    Arms without a version serve what channel stable does, and arms without alpha or weights the preference in force.

    Example: trimtab experiment start sweep --share 0.15 --arm a1,alpha=0.1,version=latest --arm
    a3,alpha=0.3,version=latest --by ada
    """
    from policy_store.decisions import start_experiment
    from policy_store.records import OnlineExperiment
    from trimtab.experiment_arms import parse_arms

    settings = load_settings()
    experiment = settings.load_experiment()
    store, rule = open_store(settings, experiment), trust_rule(settings, experiment)
    arms = tuple(_with_version(store, rule, each) for each in parse_arms(arm, control))
    begins = parse_instant(start_at, "--start") if start_at else store.time_ms() + MINUTE_MS
    plan = OnlineExperiment.of(
        id=experiment_id,
        share=share,
        arms=arms,
        control=control,
        start=begins,
        planned_end=begins + duration_option(run_for, "--for"),
        log_rate=experiment.serving.experiment_log_rate if log_rate is None else log_rate,
        guardrails=experiment.guardrail_names if guardrail is None else tuple(guardrail),
    )
    decision = decider(settings, rule, EXPERIMENTS_SLOT, statement(by, reason))
    record = start_experiment(store, plan, experiment, rule, decision, mixed_fleet)
    _tell(record, f"{experiment_id} starts at {utc_text(begins)} with {share:.1%} of the users", as_json)
    if not as_json:
        say_next(f"trimtab experiment show {experiment_id}", PICKED_UP)


@experiment_app.command()
def enlarge(experiment_id: ExperimentId, share: Share, by: By, reason: Reason = "", as_json: AsJson = False) -> None:
    """Give a running experiment a larger share of all users. Its users stay in their arms.

    Example: trimtab experiment enlarge sweep --share 0.3 --by ada --reason "nothing broke in a week"
    """
    from policy_store.decisions import enlarge_experiment

    settings = load_settings()
    experiment = settings.load_experiment()
    store, rule = open_store(settings, experiment), trust_rule(settings, experiment)
    decision = decider(settings, rule, EXPERIMENTS_SLOT, statement(by, reason))
    record = enlarge_experiment(store, experiment_id, share, rule, decision)
    _tell(record, f"{experiment_id} has {share:.1%} of the users", as_json)


@experiment_app.command("list")
def list_experiments(as_json: AsJson = False) -> None:
    """List the online experiments that run or will.

    Example: trimtab experiment list
    """
    from policy_store.decisions import read_experiments_verified

    settings = load_settings()
    experiment = settings.load_experiment()
    record = read_experiments_verified(open_store(settings, experiment), trust_rule(settings, experiment))
    running = () if record is None else record.running
    if as_json:
        echo_json([each.model_dump(mode="json") for each in running])
    else:
        from trimtab.experiment_listings import running_listing

        print_parts(running_listing(running, wall_clock_ms()))


@experiment_app.command()
def show(experiment_id: ExperimentId, as_json: AsJson = False) -> None:
    """Show the arms of an experiment, a canary's too, and which live nodes serve them.

    Example: trimtab experiment show sweep
    """
    from policy_store.decisions import planned_experiment, read_experiments_verified, running_canary
    from trimtab.experiment_listings import NOT_RUNNING, RUNS, arm_listing, node_listing, node_states, state_of

    settings = load_settings()
    experiment = settings.load_experiment()
    store, rule = open_store(settings, experiment), trust_rule(settings, experiment)
    plan = planned_experiment(store, experiment_id, rule, experiment)
    record = read_experiments_verified(store, rule)
    revision, state, running = None, NOT_RUNNING, True
    if record is not None and any(each.id == experiment_id for each in record.running):
        revision, state = record.revision, state_of(plan, wall_clock_ms())
    elif experiment_id == running_canary(store, rule):
        state = RUNS
    else:
        running = False
    states = node_states(store.nodes(), revision, plan.versions) if running else {}
    if as_json:
        echo_json(plan.model_dump(mode="json") | {"state": state, "nodes": states})
        return
    span = f"from {utc_text(plan.start)} to {utc_text(plan.planned_end)}, log rate {plan.log_rate:g}"
    guardrails = ", ".join(plan.guardrails) or "none"
    parts: list[Listing | str] = [f"{experiment_id} {state}: {span}; guardrails: {guardrails}", arm_listing(plan)]
    print_parts(*parts, *([node_listing(states)] if running else []))


for result in (read, conclude, ledger, releases):
    experiment_app.command()(result)


def _with_version(store: PolicyStore, rule: TrustRule, arm: ExperimentArm) -> ExperimentArm:
    """The arm with the full version of the checkpoint that its `version` refers to."""
    from policy_store.decisions import resolve_version

    if arm.version is None:
        return arm
    return arm.model_copy(update={"version": resolve_version(store, arm.version, rule)})


def _tell(record: ExperimentsRecord, text: str, as_json: bool) -> None:
    content: dict[str, Any] = record.model_dump(mode="json")
    if as_json:
        echo_json(content)
    else:
        typer.echo(f"{text} (revision {record.revision})")
