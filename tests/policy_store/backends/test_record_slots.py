"""Each slot takes its own kinds of record and no other, in every implementation."""

import pytest

from event_schemas.units import HOUR_MS
from policy_store.backends.record_slots import RecordSlots
from policy_store.backends.store import HISTORY_LIMIT
from policy_store.decisions.governance import propose_preference
from policy_store.decisions.kill_decisions import kill
from policy_store.records.experiment_record import ExperimentsRecord
from policy_store.records.ledger_record import LedgerRecord
from policy_store.records.preference_proposal import PreferenceProposal, ProposalStatus
from policy_store.records.preference_record import PreferenceRecord, PreferenceTarget
from policy_store.records.rebase_record import REBASE_SLOT, RebaseRecord, SlotRemoval
from policy_store.records.store_errors import RecordMalformed, RevisionAhead, RevisionConflict
from tests.policy_store.experiment_samples import plan, result
from tests.policy_store.store_samples import NOW, PEOPLE, StoreBench, people

ALPHA = PreferenceTarget.of(alpha=0.5)


def proposed(bench: StoreBench) -> PreferenceProposal:
    """A decision of a proposal that the store holds open."""
    proposal = propose_preference(bench.store, "p-1", None, ALPHA, people())
    return proposal.decided(ProposalStatus.APPROVED, "ada", "looks good", NOW)


def test_every_store_has_the_same_slots(bench: StoreBench) -> None:
    store = bench.store
    assert isinstance(store, RecordSlots)
    empty = [store.preference(), store.control(), store.rebase(), store.experiments(), store.account()]
    empty += [read("stable") for read in (store.channel, store.freshness)]
    assert empty == [None] * 7
    assert store.ledger() == []


def test_a_record_of_another_kind_is_refused_in_a_slot(bench: StoreBench) -> None:
    store = bench.store
    kill(store, people())
    control = store.control()
    assert control is not None
    with pytest.raises(RecordMalformed):
        store.approve(proposed(bench), control, parent_revision=None)
    with pytest.raises(RecordMalformed):
        store.publish_channel(control, parent_revision=None)
    for publish in (store.publish_experiments, store.append_ledger):
        with pytest.raises(RecordMalformed):
            publish(control, parent_revision=None)
    assert store.preference() is None


def test_a_store_takes_no_revision_from_the_far_future_whoever_signed_it(bench: StoreBench) -> None:
    def preference(revision: int) -> PreferenceRecord:
        return PreferenceRecord(experiment=bench.experiment, revision=revision, by="ada", default=ALPHA)

    limit, decided = bench.store.time_ms() + HOUR_MS, proposed(bench)
    with pytest.raises(RevisionAhead, match="preference"):
        bench.store.approve(decided, preference(limit + 60_000).signed_by(PEOPLE), parent_revision=None)
    assert bench.store.preference() is None
    bench.store.approve(decided, preference(limit - 60_000).signed_by(PEOPLE), parent_revision=None)
    assert bench.store.preference() is not None


def test_a_rebase_comes_back(bench: StoreBench) -> None:
    signed = RebaseRecord(experiment=bench.experiment, revision=5, by="ada", epoch=1).signed_by(PEOPLE)
    bench.store.publish_rebase(signed, SlotRemoval(REBASE_SLOT, b"", None, ()), ())
    assert bench.second.rebase() == signed
    assert bench.second.history("rebase") == bench.second.known_records("rebase") == [signed]
    assert bench.second.slot_bytes("rebase") == signed.record


def test_the_record_of_experiments_is_replaced_over_the_one_that_was_read(bench: StoreBench) -> None:
    def experiments(revision: int, parent: int | None) -> ExperimentsRecord:
        return ExperimentsRecord(
            experiment=bench.experiment, revision=revision, parent_revision=parent, by="ada", running=(plan(NOW),)
        )

    first, second = experiments(5, None).signed_by(PEOPLE), experiments(6, 5).signed_by(PEOPLE)
    bench.store.publish_experiments(first, parent_revision=None)
    bench.second.publish_experiments(second, parent_revision=5)
    with pytest.raises(RevisionConflict, match="experiments is at revision 6"):
        bench.store.publish_experiments(experiments(7, 5).signed_by(PEOPLE), parent_revision=5)
    assert bench.store.experiments() == second
    assert bench.store.history("experiments") == [second, first]


def test_the_ledger_keeps_every_entry(bench: StoreBench) -> None:
    """Other slots keep the newest HISTORY_LIMIT records."""
    entries = []
    for number in range(1, HISTORY_LIMIT + 4):
        content = {"experiment": bench.experiment, "revision": number, "by": "ada", **result(f"x{number}")}
        entry = LedgerRecord.from_content(content | {"parent_revision": number - 1 or None})
        entries.append(entry.signed_by(PEOPLE))
        bench.store.append_ledger(entries[-1], parent_revision=number - 1 or None)
    assert bench.second.ledger() == entries
