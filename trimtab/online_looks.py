"""Looks at online experiments from this machine's examples, for the commands that decide about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from event_schemas.errors import TrimtabError

if TYPE_CHECKING:
    from event_schemas.experiment import Experiment
    from learner.experiment_look import ExperimentLook
    from policy_store.backends import PolicyStore
    from policy_store.decisions import Decider, Ending, TrustRule
    from trimtab.settings import Settings


def look_from_here(
    settings: Settings,
    experiment: Experiment,
    store: PolicyStore,
    rule: TrustRule,
    experiment_id: str,
    level: float = 0.95,
) -> ExperimentLook:
    """A look at an experiment or canary. Raises ExperimentRefused for an unknown id, and StoreDamaged."""
    from learner.checkpoints import learner_directory
    from learner.experiment_look import error_budget_of, look_at
    from policy_store.decisions import canary_runs, planned_experiment

    plan = planned_experiment(store, experiment_id, rule, experiment)
    error = error_budget_of(experiment_id, experiment, canary_runs(store, rule))
    return look_at(plan, learner_directory(settings.data_dir, experiment), experiment, error, level)


def canary_look(
    settings: Settings, experiment: Experiment, store: PolicyStore, rule: TrustRule, running: str | None
) -> ExperimentLook | None:
    """A look at a canary that people have just ended, by the id of its experiment; None if none ran.

    If it cannot be read, that is said on stderr: the decision stands.
    """
    if running is None:
        return None
    try:
        return look_from_here(settings, experiment, store, rule, running)
    except TrimtabError as fault:
        typer.echo(f"what {running} showed cannot be read: {fault.what}", err=True)
        return None


def keep_releases(store: PolicyStore, rule: TrustRule, look: ExperimentLook, ended: Ending, decision: Decider) -> None:
    """Keep what became of each checkpoint that an arm names: its offline and its online lifts."""
    from learner.experiment_look import offline_lifts
    from policy_store.decisions import Release, keep_release, verify_checkpoint

    users = {name: arm.users for name, arm in look.found.comparison.arms.items()}
    for arm in look.plan.arms:
        if arm.version is None or arm.name == look.plan.control:
            continue
        manifest = verify_checkpoint(store.get_checkpoint(arm.version), arm.version, rule)
        release = Release(
            version=arm.version,
            experiment=look.plan.id,
            arm=arm.name,
            ended=ended,
            reason=decision.reason,
            users=users[arm.name] + users[look.plan.control],
            offline=offline_lifts(manifest),
            online=look.online_lifts(arm.name),
        )
        keep_release(store, release, decision.by)
