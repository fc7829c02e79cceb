"""The account of the gate in the store: written under the lease, over the one that was read, and verified."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pytest

from policy_store.decisions.account_keeping import FoundAccount, RunAccount, keep_account, read_account_verified
from policy_store.decisions.rebasing import rebase
from policy_store.records.account_record import ACCOUNT_SLOT, AccountRecord
from policy_store.records.audit import verify_chain
from policy_store.records.signing import TrustedKeys
from policy_store.records.store_errors import LeaseLost, RevisionConflict, RoleForbidden, SignatureInvalid
from tests.policy_store.foreign_hands import RedisHands
from tests.policy_store.store_samples import PEOPLE, STRANGER, StoreBench, learner, manifest, people, rule


def keep(bench: StoreBench, run: int, over: FoundAccount, token: int, **changes: Any) -> AccountRecord:
    ended = RunAccount(run, manifest(bench.experiment, f"v{run}", **changes), {"spent": run / 100})
    return keep_account(bench.store, ended, over, learner(), fencing_token=token)


def test_the_account_continues_the_one_before(bench: StoreBench) -> None:
    trust, token = rule(bench.experiment), bench.store.acquire_lease("a", 60).token
    nothing = read_account_verified(bench.store, trust)
    assert nothing == FoundAccount(None, None)
    first = keep(bench, 1, nothing, token)
    assert read_account_verified(bench.second, trust) == FoundAccount(first, first.revision)
    second = keep(bench, 2, read_account_verified(bench.store, trust), token, parent="v1")
    assert (second.run, second.version, second.parent, second.budget) == (2, "v2", "v1", {"spent": 0.02})
    assert second.manifest == hashlib.sha256(manifest(bench.experiment, "v2", parent="v1").canonical()).hexdigest()
    assert [AccountRecord.parse(each.record) for each in bench.store.history(ACCOUNT_SLOT)] == [second, first]
    verify_chain(bench.store.audit_entries())


def test_nobody_writes_over_an_account_that_was_not_read_or_without_the_lease(bench: StoreBench) -> None:
    stale = bench.store.acquire_lease("a", 60)
    nothing = FoundAccount(None, None)
    first = keep(bench, 1, nothing, stale.token)
    with pytest.raises(RevisionConflict, match="account is at revision"):
        keep(bench, 1, nothing, stale.token)
    bench.store.release_lease(stale)
    found = read_account_verified(bench.store, rule(bench.experiment))
    with pytest.raises(LeaseLost):
        keep(bench, 2, found, stale.token)
    bench.second.acquire_lease("b", 60)
    with pytest.raises(LeaseLost):
        keep(bench, 2, found, stale.token)
    assert read_account_verified(bench.store, rule(bench.experiment)).record == first


def test_an_account_that_a_learner_did_not_sign_is_refused(bench: StoreBench) -> None:
    token = bench.store.acquire_lease("a", 60).token
    record = keep(bench, 1, FoundAccount(None, None), token)
    foreign = record.model_copy(update={"revision": record.revision + 1, "parent_revision": record.revision})
    bench.store.publish_account(foreign.signed_by(STRANGER), parent_revision=record.revision, fencing_token=token)
    with pytest.raises(SignatureInvalid, match="not a trusted key"):
        read_account_verified(bench.store, rule(bench.experiment))
    trust = replace(rule(bench.experiment), trusted=TrustedKeys.of(STRANGER))
    assert read_account_verified(bench.store, trust).record == foreign


def test_a_learner_may_sign_it_and_so_may_people(bench: StoreBench) -> None:
    trust = rule(bench.experiment)
    trust.require_role(ACCOUNT_SLOT, "learner/main")
    trust.require_role(ACCOUNT_SLOT, "governance/board")
    with pytest.raises(RoleForbidden):
        trust.require_role("ledger", "learner/main")


def test_one_from_the_far_future_is_voided_and_the_one_before_counts(memory_bench: StoreBench) -> None:
    bench, trust = memory_bench, rule(memory_bench.experiment)
    first = keep(bench, 1, FoundAccount(None, None), bench.store.acquire_lease("a", 60).token)
    ahead = first.model_copy(update={"revision": first.revision + 10**12, "parent_revision": first.revision})
    bench.hands.publish_as_0_1_0(ACCOUNT_SLOT, ahead.signed_by(PEOPLE))
    assert read_account_verified(bench.store, trust).record == ahead
    rebase(bench.store, trust, people())
    assert read_account_verified(bench.store, trust) == FoundAccount(first, first.revision)


def test_an_older_account_that_is_put_back_hides_no_newer_one(redis_bench: StoreBench) -> None:
    bench, hands = redis_bench, redis_bench.hands
    assert isinstance(hands, RedisHands)
    trust, token = rule(bench.experiment), bench.store.acquire_lease("a", 60).token
    first = keep(bench, 1, FoundAccount(None, None), token)
    old = hands.raw.dump(hands.keys.slot(ACCOUNT_SLOT))
    second = keep(bench, 2, FoundAccount(first, first.revision), token)
    hands.raw.restore(hands.keys.slot(ACCOUNT_SLOT), 0, old, replace=True)
    found = read_account_verified(bench.store, trust)
    assert found == FoundAccount(second, first.revision)
    third = keep(bench, 3, found, token)
    assert read_account_verified(bench.store, trust).record == third


def test_the_history_counts_if_the_slot_was_deleted(redis_bench: StoreBench) -> None:
    bench, hands = redis_bench, redis_bench.hands
    assert isinstance(hands, RedisHands)
    token = bench.store.acquire_lease("a", 60).token
    first = keep(bench, 1, FoundAccount(None, None), token)
    hands.raw.delete(hands.keys.slot(ACCOUNT_SLOT))
    found = read_account_verified(bench.store, rule(bench.experiment))
    assert found == FoundAccount(first, None)
    assert keep(bench, 2, found, token).parent_revision is None
