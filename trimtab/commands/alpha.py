"""`trimtab alpha`: the trade-off between objectives that people propose and approve."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Annotated, Any

import typer

from policy_store.records import PREFERENCE_SLOT
from trimtab.next_step import GOVERNED, say_next
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
    from policy_store.records import PreferenceProposal, PreferenceRecord, PreferenceTarget

alpha_app = typer.Typer(no_args_is_help=True, help="The approved trade-off between objectives, and proposals.")


def register(app: typer.Typer) -> None:
    """Adds `trimtab alpha …`."""
    app.add_typer(alpha_app, name="alpha")


@alpha_app.command()
def show(as_json: AsJson = False) -> None:
    """Show the preference in force, by default and per cohort, and the proposals.

    Example: trimtab alpha show
    """
    from policy_store.decisions import read_preference_verified

    settings = load_settings()
    experiment = settings.load_experiment()
    store = open_store(settings, experiment)
    record = read_preference_verified(store, trust_rule(settings, experiment))
    content = _in_force(experiment, record) | {
        "proposals": [proposal.model_dump(mode="json") for proposal in store.proposals()]
    }
    if as_json:
        echo_json(content)
    else:
        _print_preference(content, store.proposals())


@alpha_app.command()
def propose(
    by: By,
    alpha: Annotated[float | None, typer.Argument(help="α in [0, 1] on the experiment's alpha_objective.")] = None,
    weight: Annotated[list[str] | None, typer.Option(help="Instead of α: NAME=VALUE, once per objective.")] = None,
    cohort: Annotated[str | None, typer.Option(help="Only for this cohort; default: all other users.")] = None,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Propose a trade-off; it takes effect only after `trimtab alpha approve`.

    Example: trimtab alpha propose 0.3 --cohort CORE --by ada --reason "more saves for core users"
    """
    from policy_store.decisions import propose_preference
    from policy_store.records import PreferenceTarget, new_proposal_id, parse_weights

    settings = load_settings()
    experiment = settings.load_experiment()
    target = PreferenceTarget.of(alpha=alpha, weights=parse_weights(weight) if weight else None)
    _require_known(experiment, target, cohort)
    store = open_store(settings, experiment)
    proposal = propose_preference(store, new_proposal_id(uuid.uuid4()), cohort, target, statement(by, reason))
    if as_json:
        echo_json(proposal.model_dump(mode="json"))
    else:
        typer.echo(f"{proposal.proposal_id}: {target.describe()} for {cohort or 'everybody'}; waits for approval")
        say_next(f"trimtab alpha approve {proposal.proposal_id}", f"puts it in force; {GOVERNED}")


@alpha_app.command()
def approve(
    proposal_id: Annotated[str, typer.Argument(help="Id printed by `alpha propose`.")],
    by: By,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Sign a proposal with TRIMTAB_SIGNING_KEY and put it in force.

    Example: trimtab alpha approve p-0a1b2c3d4e5f --by grace --reason "agreed in the review"
    """
    from policy_store.decisions import approve_proposal, find_open_proposal
    from policy_store.records import initial_target

    settings = load_settings()
    experiment = settings.load_experiment()
    store, rule = open_store(settings, experiment), trust_rule(settings, experiment)
    decision = decider(settings, rule, PREFERENCE_SLOT, statement(by, reason))
    # A proposal is not signed: it may be older than the experiment file, or altered in the store.
    proposal = find_open_proposal(store, proposal_id)
    _require_known(experiment, proposal.target, proposal.cohort)
    record = approve_proposal(store, proposal_id, initial_target(experiment), decision, rule)
    content = _in_force(experiment, record)
    if as_json:
        echo_json(content)
    else:
        _print_preference(content, [])
        say_next("trimtab learn --once", "unless a learner runs: the gate judges policies by these weights from now on")


@alpha_app.command()
def reject(
    proposal_id: Annotated[str, typer.Argument(help="Id printed by `alpha propose`.")],
    by: By,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Reject a proposal; the preference in force does not change.

    Example: trimtab alpha reject p-0a1b2c3d4e5f --by grace --reason "too far at once"
    """
    from policy_store.decisions import reject_proposal

    settings = load_settings()
    store = open_store(settings, settings.load_experiment())
    proposal = reject_proposal(store, proposal_id, statement(by, reason))
    if as_json:
        echo_json(proposal.model_dump(mode="json"))
    else:
        typer.echo(f"{proposal_id}: rejected")


def _require_known(experiment: Experiment, target: PreferenceTarget, cohort: str | None) -> None:
    """Raise ContractMismatch for a target that does not weigh these objectives, or a cohort not declared."""
    from policy_store.records import require_known_cohort

    target.objective_weights(experiment.objective_names, experiment.preference.alpha_objective)
    require_known_cohort(cohort, [each.name for each in experiment.cohorts])


def _in_force(experiment: Experiment, record: PreferenceRecord | None) -> dict[str, Any]:
    """The targets in force; `revision` is None until people have approved a preference."""
    from policy_store.records import initial_target

    default = initial_target(experiment) if record is None else record.default
    cohorts = {} if record is None else record.cohorts
    return {
        "experiment": experiment.name,
        "revision": None if record is None else record.revision,
        "by": "experiment file" if record is None else record.by,
        "default": _target(experiment, default),
        "cohorts": {name: _target(experiment, each) for name, each in cohorts.items()},
    }


def _target(experiment: Experiment, target: PreferenceTarget | None) -> dict[str, Any]:
    from policy_store.records import weights_of

    if target is None:
        return {"objective_weights": None}
    weights = dict(zip(experiment.objective_names, weights_of(target, experiment), strict=True))
    return target.model_dump(mode="json") | {"objective_weights": weights}


def _print_preference(content: dict[str, Any], proposals: list[PreferenceProposal]) -> None:
    from trimtab.policy_listings import preference_listing, proposal_listing

    print_parts(preference_listing(content), *([proposal_listing(proposals)] if proposals else []))
