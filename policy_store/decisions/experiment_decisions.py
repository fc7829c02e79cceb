"""Starts, enlarges and concludes online experiments.

The caller passes the store, the trust rule and who decides; all functions raise the errors of PolicyStore's methods,
and after any error nothing has changed. An experiment's arms never change while it runs: its users would no longer be
comparable. Only its share of all users may grow.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from event_schemas.errors import TrimtabError
from event_schemas.experiment import Experiment
from event_schemas.instant import utc_text
from event_schemas.shown_text import listed
from event_schemas.units import MINUTE_MS
from policy_store.backends.store import PolicyStore
from policy_store.decisions.experiment_reading import read_experiments_verified, running_canary, verify_ledger
from policy_store.decisions.node_claims import claims_of_live_nodes
from policy_store.decisions.rebase_reading import remembered_rebases
from policy_store.decisions.record_places import Decider, next_place, provenance, revision_of
from policy_store.decisions.verification import TrustRule, verify_checkpoint
from policy_store.decisions.verified_reading import read_channel_verified, read_preference_verified
from policy_store.records.channel_record import Channel
from policy_store.records.checkpoint_record import CheckpointManifest
from policy_store.records.experiment_record import (
    CANARY_PREFIX,
    EXPERIMENTS_SLOT,
    ExperimentArm,
    ExperimentsRecord,
    OnlineExperiment,
    canary_shares,
)
from policy_store.records.governed_record import SignedRecord
from policy_store.records.ledger_record import LEDGER_SLOT, LedgerRecord
from policy_store.records.objective_weights import ObjectiveWeights, same_weights, weights_of
from policy_store.records.store_errors import ExperimentRefused, PromotionRefused, RecordMalformed


def start_experiment(
    store: PolicyStore,
    plan: OnlineExperiment,
    experiment: Experiment,
    rule: TrustRule,
    decider: Decider,
    mixed_fleet: bool = False,
) -> ExperimentsRecord:
    """Adds `plan` to the experiments that run; any of them that has an entry in the ledger ends.

    Raises ExperimentRefused for an id that was used before, times in the past, a guardrail that the file does not
    declare, one that another experiment leaves no users, or, unless it may run on a `mixed_fleet`, for live nodes of a
    release without experiments; PromotionRefused for a checkpoint that the gate refused; ContractMismatch for a
    preference that does not fit the objectives; UnknownCheckpoint.
    """
    running, parent = _running(store, rule)
    concluded = {each.id for each in _ledger(store, rule)[1]}
    _require_new_id(store, plan.id, concluded)
    time_ms = store.time_ms()
    if plan.start < time_ms - MINUTE_MS or plan.planned_end <= time_ms:
        raise ExperimentRefused(
            f"experiment {plan.id} would start at {utc_text(plan.start)} and end at {utc_text(plan.planned_end)}, but"
            f" the store's clock says {utc_text(time_ms)}",
            fix="start it now or later: users are drawn from the start on",
        )
    declared = experiment.guardrail_names
    if unknown := sorted(set(plan.guardrails) - set(declared)):
        raise ExperimentRefused(
            f"experiment {plan.id} names the guardrails {listed(unknown)}; the file counts"
            f" {listed(declared) or 'none'}",
            fix="name guardrails that [[guardrails]] or [[objectives]] of the experiment file declare",
        )
    # A re-base may have put a record back in force from before a conclusion, or a conclusion was interrupted.
    left = [each for each in running if each.id not in concluded]
    _require_users(plan, left, experiment, running_canary(store, rule))
    if not mixed_fleet:
        _require_new_nodes(store, plan.id)
    in_force = ObjectiveWeights.in_force(experiment, read_preference_verified(store, rule))
    for arm in plan.arms:
        _require_servable(store, plan.id, arm, experiment, rule, in_force)
    return _publish(store, (*left, plan), parent, decider)


def enlarge_experiment(
    store: PolicyStore, experiment_id: str, share: float, rule: TrustRule, decider: Decider
) -> ExperimentsRecord:
    """Gives a running experiment a larger share of all users; those who are in it stay in their arms.

    Raises ExperimentRefused for an id that does not run, one that has ended, and for a share that is not larger.
    """
    running, parent = _running(store, rule)
    held = _named(running, experiment_id)
    if held.planned_end <= store.time_ms():
        raise ExperimentRefused(
            f"experiment {experiment_id} ended at {utc_text(held.planned_end)}: it serves nobody any more",
            fix="conclude it, and start another one",
        )
    if share <= held.share:
        raise ExperimentRefused(
            f"experiment {experiment_id} has {held.share:g} of the users, and {share:g} is not more",
            fix="users who have been in an experiment cannot leave it: conclude it, and start another one",
        )
    if share > 1.0:
        raise RecordMalformed(f"a share of {share:g} is more than all users", fix="give a share of at most 1")
    larger = held.model_copy(update={"share": share})
    return _publish(store, tuple(larger if each is held else each for each in running), parent, decider)


def conclude_experiment(
    store: PolicyStore, result: Mapping[str, Any], rule: TrustRule, decider: Decider
) -> LedgerRecord:
    """Writes an experiment's result to the ledger, then ends it: its users are served like all others.

    `result` holds the fields of a LedgerRecord other than provenance. Concluding again what has an entry only ends the
    experiment, so that a process that died in between can be repeated. Raises ExperimentRefused for an id that neither
    runs nor belongs to a canary, LedgerBroken and RecordMalformed.
    """
    experiment_id = str(result["id"])
    running, parent = _running(store, rule)
    entries, records = _ledger(store, rule)
    entry = next((each for each in records if each.id == experiment_id), None)
    if entry is None:
        if not experiment_id.startswith(CANARY_PREFIX):
            _named(running, experiment_id)
        last = entries[-1] if entries else None
        over, place = revision_of(last), next_place(store, LEDGER_SLOT, decider)
        previous = None if last is None else last.hash
        entry = LedgerRecord.from_content({**result, "previous": previous} | provenance(store, over, place, decider))
        store.append_ledger(entry.signed_by(decider.key), parent_revision=over)
    left = tuple(each for each in running if each.id != experiment_id)
    if len(left) < len(running):
        _publish(store, left, parent, decider)
    return entry


def _running(store: PolicyStore, rule: TrustRule) -> tuple[tuple[OnlineExperiment, ...], int | None]:
    """The experiments that run, and the revision of their record, over which the next one is published."""
    record = read_experiments_verified(store, rule)
    return ((), None) if record is None else (record.running, record.revision)


def _named(running: Sequence[OnlineExperiment], experiment_id: str) -> OnlineExperiment:
    for each in running:
        if each.id == experiment_id:
            return each
    names = listed([each.id for each in running]) or "none"
    raise ExperimentRefused(
        f"no experiment {experiment_id!r} runs; those that run: {names}", fix="list them with `trimtab experiment list`"
    )


def _ledger(store: PolicyStore, rule: TrustRule) -> tuple[list[SignedRecord], list[LedgerRecord]]:
    """The ledger's entries, as they were signed and verified, oldest first."""
    entries = store.ledger()
    return entries, verify_ledger(entries, rule, remembered_rebases(store, rule).voided)


def _require_new_id(store: PolicyStore, experiment_id: str, concluded: Collection[str]) -> None:
    """Raises ExperimentRefused for an id that was used before: the same users would be drawn, and be counted again."""
    if experiment_id.startswith(CANARY_PREFIX):
        raise ExperimentRefused(
            f"{experiment_id}: ids that begin with {CANARY_PREFIX} belong to canaries", fix="choose another id"
        )
    used = set(concluded)
    for signed in store.known_records(EXPERIMENTS_SLOT):
        try:
            used |= {each.id for each in ExperimentsRecord.parse(signed.record).running}
        except TrimtabError:
            continue
    if experiment_id in used:
        raise ExperimentRefused(
            f"there was an experiment {experiment_id} already",
            fix="choose a new id: the same id would draw the same users, and count their old requests again",
        )


def _require_users(
    plan: OnlineExperiment, running: Sequence[OnlineExperiment], experiment: Experiment, canary: str | None
) -> None:
    """Raises ExperimentRefused if another one that has started by then has all users; `canary` is the canary's id."""
    full = [each.id for each in running if each.share >= 1.0 and each.start <= plan.start < each.planned_end]
    canary_share = experiment.serving.canary_share
    if canary is not None and canary_share > 0.0 and canary_shares(canary_share)[0] >= 1.0:
        full.append(canary)
    if full:
        raise ExperimentRefused(
            f"experiment {plan.id} would have no users: {listed(full)} has all of them and started first",
            fix="conclude that one, or start this one after its end; a canary leaves users to others if"
            " serving.canary_share is below 0.5",
        )


def _require_new_nodes(store: PolicyStore, experiment_id: str) -> None:
    """Raises ExperimentRefused if a live node would serve the experiment's users as all others."""
    old = [each.node_id for each in claims_of_live_nodes(store) if not each.serves_experiments]
    if old:
        raise ExperimentRefused(
            f"experiment {experiment_id}: the nodes {listed(old)} are of a release that knows no experiments, and would"
            " serve its users what they serve everybody",
            fix="upgrade these nodes first, or start it with --mixed-fleet and count only what the others serve",
        )


def _require_servable(
    store: PolicyStore,
    experiment_id: str,
    arm: ExperimentArm,
    experiment: Experiment,
    rule: TrustRule,
    in_force: ObjectiveWeights,
) -> None:
    """Raises unless every node can serve the arm: its checkpoint exists and may be served by these weights."""
    weights = None if arm.preference is None else weights_of(arm.preference, experiment)
    if arm.version is not None:
        manifest: CheckpointManifest | None = verify_checkpoint(store.get_checkpoint(arm.version), arm.version, rule)
        if manifest is not None and manifest.verdict == "refuse":
            raise PromotionRefused(
                f"arm {arm.name} of experiment {experiment_id} names checkpoint {arm.version}, which the gate refused",
                fix=f"see the reasons with `trimtab policy show {arm.version}`, and name another checkpoint",
            )
    else:
        stable = read_channel_verified(store, Channel.STABLE, rule, now_ms=store.time_ms())
        manifest = None if stable is None else stable.manifest
    served = [in_force.default, *in_force.cohorts.values()] if weights is None else [weights]
    if manifest is not None and manifest.preference is not None:
        for each in served:
            _require_pinned(experiment_id, arm, manifest, each, experiment)


def _require_pinned(
    experiment_id: str,
    arm: ExperimentArm,
    manifest: CheckpointManifest,
    weights: Sequence[float] | None,
    experiment: Experiment,
) -> None:
    pinned = [(manifest.preference or {}).get(name) for name in experiment.objective_names]
    complete = [weight for weight in pinned if weight is not None]
    if weights is None or len(complete) < len(weights) or not same_weights(complete, weights):
        raise ExperimentRefused(
            f"arm {arm.name} of experiment {experiment_id}: checkpoint {manifest.version} answers only for the"
            f" preference {pinned}, and would be asked for {None if weights is None else list(weights)}",
            fix="give the arm that preference, or a checkpoint whose graph takes the preference as an input",
        )


def _publish(
    store: PolicyStore, running: Sequence[OnlineExperiment], parent: int | None, decider: Decider
) -> ExperimentsRecord:
    place = next_place(store, EXPERIMENTS_SLOT, decider)
    content = {"running": [each.model_dump(mode="json") for each in running]}
    record = ExperimentsRecord.from_content(content | provenance(store, parent, place, decider))
    store.publish_experiments(record.signed_by(decider.key), parent_revision=parent)
    return record
