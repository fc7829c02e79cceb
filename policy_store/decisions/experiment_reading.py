"""Reads the experiments that run and the ledger of those that were concluded, verified."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from event_schemas.errors import TrimtabError
from event_schemas.experiment import Experiment
from policy_store.backends.store import PolicyStore
from policy_store.decisions.canary_runs import canary_runs
from policy_store.decisions.rebase_reading import remembered_rebases
from policy_store.decisions.verification import TrustRule, verify_channel, verify_record
from policy_store.decisions.verified_reading import acceptable_record
from policy_store.records.channel_record import Channel
from policy_store.records.experiment_record import (
    CANARY_ARM,
    CANARY_PREFIX,
    CONTROL_ARM,
    EXPERIMENTS_SLOT,
    ExperimentArm,
    ExperimentsRecord,
    OnlineExperiment,
    canary_shares,
)
from policy_store.records.governed_record import SignedRecord
from policy_store.records.ledger_record import LEDGER_SLOT, LedgerRecord
from policy_store.records.revision_rules import ReaderMemory
from policy_store.records.store_errors import ExperimentRefused, LedgerBroken

_BROKEN_FIX = "entries were removed or put in by hand: compare with a backup of the store"


def read_experiments_verified(
    store: PolicyStore, rule: TrustRule, *, now_ms: int | None = None, memory: ReaderMemory | None = None
) -> ExperimentsRecord | None:
    """The experiments that run; None if none was ever started.

    Raises the errors of verify_record and ReaderMemory.require_acceptable; without `now_ms` a record from the future is
    not refused.
    """
    memory = remembered_rebases(store, rule) if memory is None else memory
    return acceptable_record(store.experiments(), EXPERIMENTS_SLOT, ExperimentsRecord, rule, memory, now_ms=now_ms)


def read_ledger_verified(store: PolicyStore, rule: TrustRule) -> list[LedgerRecord]:
    """The concluded experiments, oldest first.

    Raises the errors of verify_ledger, and LedgerBroken if the entry in the slot, the newest one, is not among them.
    """
    # The slot is read first: an entry that comes in between is then only in the history.
    newest = store.known_records(LEDGER_SLOT)[:1]
    entries = store.ledger()
    records = verify_ledger(entries, rule, remembered_rebases(store, rule).voided)
    if any(each not in entries for each in newest):
        raise LedgerBroken("the ledger lacks its newest entry", fix=_BROKEN_FIX)
    return records


def verify_ledger(entries: Sequence[SignedRecord], rule: TrustRule, voided: Collection[str] = ()) -> list[LedgerRecord]:
    """The entries, oldest first, without those that a re-base voided, which may still be named as the one before.

    Raises the errors of verify_record, and LedgerBroken for an entry that does not follow the one before it.
    """
    records: list[LedgerRecord] = []
    before: str | None = None
    for signed in entries:
        record = verify_record(signed, LedgerRecord, rule)
        if signed.hash in voided:
            continue
        if record.previous != before and record.previous not in voided:
            raise LedgerBroken(
                f"the ledger's entry of experiment {record.id} (revision {record.revision}) does not follow the one"
                " before it",
                fix=_BROKEN_FIX,
            )
        records.append(record)
        before = signed.hash
    return records


def planned_experiment(
    store: PolicyStore, experiment_id: str, rule: TrustRule, experiment: Experiment
) -> OnlineExperiment:
    """The newest verified plan of an experiment that runs or ran; a canary's is made from its channel record.

    A canary's share, log rate and guardrails are those of the `experiment` file, its `start` that of the version's
    newest run, and its `planned_end` when that ended, or the store's time. Raises ExperimentRefused for an id that the
    store does not know.
    """
    if experiment_id.startswith(CANARY_PREFIX):
        found = _canary(store, experiment_id.removeprefix(CANARY_PREFIX), rule, experiment)
        if found is not None:
            return found
    for signed in store.known_records(EXPERIMENTS_SLOT):
        try:
            record = verify_record(signed, ExperimentsRecord, rule)
        except TrimtabError:
            # An unverifiable record plans nothing.
            continue
        for each in record.running:
            if each.id == experiment_id:
                return each
    raise ExperimentRefused(
        f"the store knows no experiment {experiment_id!r}", fix="list them with `trimtab experiment list`"
    )


def running_canary(store: PolicyStore, rule: TrustRule) -> str | None:
    """The id of the canary's experiment; None if the channel is empty, it was withdrawn, or stable was decided since.

    A record that a re-base voids counts as none. Whether it has expired is not asked. Raises the errors of
    verify_channel.
    """
    voided = remembered_rebases(store, rule).voided
    signed = store.channel(Channel.CANARY.value)
    if signed is None or signed.hash in voided:
        return None
    canary = verify_channel(signed, Channel.CANARY, rule)
    if canary.withdrawn:
        return None
    stable = store.channel(Channel.STABLE.value)
    if stable is not None and stable.hash not in voided:
        decided = verify_channel(stable, Channel.STABLE, rule).revision
        if decided > canary.revision:
            return None
    return f"{CANARY_PREFIX}{canary.version}"


def _canary(store: PolicyStore, version: str, rule: TrustRule, experiment: Experiment) -> OnlineExperiment | None:
    """The newest run of this version as the canary; None if the channel never pointed to it."""
    runs = [each for each in canary_runs(store, rule) if each.version == version]
    if not runs:
        return None
    canary_share = experiment.serving.canary_share
    share, of_canary = canary_shares(canary_share) if canary_share > 0 else (0.0, 0.0)
    if not 0.0 < of_canary < 1.0:
        raise ExperimentRefused(
            f"serving.canary_share = {canary_share:g} leaves the canary or its control without users",
            fix="set serving.canary_share above 0 and below 1",
        )
    start, end = runs[-1].start, runs[-1].end
    return OnlineExperiment.of(
        id=f"{CANARY_PREFIX}{version}",
        share=share,
        arms=(
            ExperimentArm(name=CANARY_ARM, share=of_canary, version=version),
            ExperimentArm(name=CONTROL_ARM, share=1.0 - of_canary),
        ),
        control=CONTROL_ARM,
        start=start,
        planned_end=max(store.time_ms() if end is None else end, start + 1),
        log_rate=experiment.serving.experiment_log_rate,
        guardrails=experiment.guardrail_names,
    )
