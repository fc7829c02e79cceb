"""The account of all learners' runs in the policy store, as the runs of this one read and continue it.

It is read when a run begins, and written over what was read, under the lease, before anything that the run found is
shown, kept or published. So of two learners, whatever their data directories, one look at a row is taken, and a learner
that is killed in between has spent the share of its look.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import structlog

from event_schemas.errors import ComponentUnreachable, TrimtabError
from learner.checkpoints.checkpoint import CheckpointShelf
from learner.checkpoints.publishing import Publisher
from learner.checkpoints.run_history import EVALUATION_FAULTS, LastRun, RunHistory, last_run_of
from learner.checkpoints.serving_checkpoint import load_version
from learner.judgement.gate_budget import GateBudget
from policy_store.backends import PolicyStore
from policy_store.decisions import FoundAccount, RunAccount, TrustRule, keep_account, read_account_verified
from policy_store.records import AccountRecord, CheckpointManifest, RecordMalformed

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class GateAccount:
    """The account as it was when a run began; `found` is what lay in the store of `publisher`."""

    publisher: Publisher
    found: FoundAccount

    @classmethod
    def read(cls, publisher: Publisher) -> "GateAccount":
        """Raises the errors of `read_account_verified`. The publisher's own key need not be among the trusted."""
        return cls(publisher, read_account_verified(publisher.store, _own_rule(publisher)))

    def history(self, shelf: CheckpointShelf) -> RunHistory:
        """The runs by the checkpoints kept here and by the account. Raises RecordMalformed.

        A store from before the account says it by the newest of its checkpoints that verifies.
        """
        record = self.found.record
        stored = self._newest_run(self.publisher.store.versions()) if record is None else _run_of(record)
        load = partial(load_version, shelf=shelf, store=self.publisher.store, rule=_own_rule(self.publisher))
        return RunHistory(shelf, stored, load)

    def caught_up(self, history: RunHistory) -> "GateAccount":
        """This account, or a new one with the looks that only this machine knows: nothing is published before that.

        They were taken without a publisher, or the store was emptied or restored. Raises as `record_run`.
        """
        here, stored = history.here(self.publisher.experiment), history.stored
        if here is None:
            return self
        number = here.number if stored is None else max(here.number, stored.number)
        budget = here.budget if stored is None else stored.budget.joined(here.budget)
        known = None if self.found.record is None or stored is None else stored.budget
        if budget.last is None or (known is not None and known.knows(budget)):
            return self
        return self.record_run(number, history.shelf.manifest(here.version), budget)

    def record_run(self, run: int, manifest: CheckpointManifest, budget: GateBudget) -> "GateAccount":
        """Write the account of a run over this one; spends what the run's look may. Gives what was written.

        Raises LeaseLost, and RevisionConflict if another learner has finished a run since this one was read.
        """
        with self.publisher.lease.granted() as token:
            looks = 0 if budget.last is None else budget.last.number
            said = self.publisher.decider(f"run {run}: the gate has spent {budget.spent_in_all:.3g} in {looks} looks")
            ended = RunAccount(run, manifest, budget.as_dict())
            record = keep_account(self.publisher.store, ended, self.found, said, fencing_token=token)
        return replace(self, found=FoundAccount(record, record.revision))

    def _newest_run(self, versions: Sequence[str]) -> LastRun | None:
        for version in reversed(versions):
            try:
                return last_run_of(self._manifest(version), self.publisher.experiment)
            except ComponentUnreachable:
                raise
            except EVALUATION_FAULTS:
                continue
        return None

    def _manifest(self, version: str) -> CheckpointManifest:
        """A manifest whose signature holds, also one of other arms or features, whose looks count all the same."""
        signed, what = self.publisher.store.get_checkpoint(version), f"checkpoint {version}"
        _own_rule(self.publisher).trusted.verify(signed.key_id, signed.manifest, signed.signature, what)
        return signed.parsed()


def stored_run(store: PolicyStore, rule: Callable[[], TrustRule]) -> LastRun | None:
    """The last run of any learner by the account, for what goes on without it, such as an evaluation.

    None before the first run, and also if the account cannot be read or verified, which the log says.
    """
    try:
        record = read_account_verified(store, rule()).record
        return None if record is None else _run_of(record)
    except TrimtabError as fault:
        log.warning("the gate's account in the policy store is not read", what=fault.what, fix=fault.fix)
        return None


def _own_rule(publisher: Publisher) -> TrustRule:
    return replace(publisher.rule, trusted=publisher.rule.trusted.including(publisher.key))


def _run_of(record: AccountRecord) -> LastRun:
    try:
        return LastRun(record.run, record.version, GateBudget.from_dict(record.budget, record.version))
    except EVALUATION_FAULTS as fault:
        raise RecordMalformed(
            f"account: its budget cannot be read: {fault!r}",
            fix="start a learner of the version that wrote it, or a later one",
        ) from fault
