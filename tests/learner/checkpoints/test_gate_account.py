"""The account of all runs: written before anything is shown, over the one that was read, and never with less spent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from event_schemas.experiment import Experiment
from learner.checkpoints.checkpoint import CheckpointShelf
from learner.checkpoints.gate_account import GateAccount, stored_run
from learner.checkpoints.publishing import Publisher
from learner.checkpoints.run_history import LastRun
from learner.judgement.gate_budget import GateBudget, Look, gate_settings
from policy_store.backends.memory_store import MemoryStore
from policy_store.decisions.account_keeping import FoundAccount, RunAccount, keep_account
from policy_store.decisions.governance import publish_checkpoint
from policy_store.decisions.verification import TrustRule
from policy_store.records.signing import Role, SigningKey, TrustedKeys
from policy_store.records.store_errors import (
    LeaseHeld,
    RecordMalformed,
    RevisionConflict,
    SignatureInvalid,
    UnknownCheckpoint,
)
from tests.learner_samples import NOW, trust_of

KEY = SigningKey.generate(Role.LEARNER, "m")
NOWHERE = CheckpointShelf(Path("nowhere"))


@pytest.fixture
def publisher(experiment: Experiment) -> Publisher:
    store = MemoryStore(experiment.name, clock=lambda: NOW)
    return Publisher(store, KEY, experiment, lambda: NOW, trust_of(KEY, experiment))


@pytest.fixture
def shelf(tmp_path: Path, trained: Any) -> CheckpointShelf:
    made = CheckpointShelf(tmp_path)
    made.save(trained.report.checkpoint)
    return made


def spent(publisher: Publisher) -> float:
    stored = GateAccount.read(publisher).history(NOWHERE).stored
    return 0.0 if stored is None else stored.budget.spent_in_all


def test_the_next_run_of_anybody_starts_from_what_was_written(
    publisher: Publisher, trained: Any, experiment: Experiment
) -> None:
    manifest = trained.report.checkpoint.manifest
    before = GateAccount.read(publisher)
    history = before.history(NOWHERE)
    assert (history.next_run(), history.budget(experiment)) == (1, GateBudget(gate_settings(experiment)))
    budget = GateBudget(gate_settings(experiment)).after(Look(1, 0.025), 1000, "pass", {})
    before.record_run(1, manifest, budget)
    after = GateAccount.read(publisher).history(NOWHERE)
    found = after.budget(experiment)
    assert (after.next_run(), found.spent, found.first_look) == (2, 0.025, 1000)
    assert found.last is not None and found.last.version == manifest.version
    with pytest.raises(RevisionConflict):
        before.record_run(2, manifest, budget)
    publisher.store.acquire_lease("another", 60)
    with pytest.raises(LeaseHeld, match="'another'"):
        GateAccount.read(publisher).record_run(2, manifest, budget)


def test_looks_that_only_this_machine_knows_are_written_first(
    publisher: Publisher, shelf: CheckpointShelf, trained: Any
) -> None:
    account = GateAccount.read(publisher)
    caught_up = account.caught_up(account.history(shelf))
    assert spent(publisher) == 0.025
    record = caught_up.found.record
    assert record is not None
    assert (record.run, record.version) == (1, trained.report.checkpoint.version)
    assert record.reason == "run 1: the gate has spent 0.025 in 1 looks"
    assert caught_up.caught_up(caught_up.history(shelf)) is caught_up, "nothing more is known here"


def test_an_older_machine_takes_nothing_away(
    publisher: Publisher, shelf: CheckpointShelf, trained: Any, experiment: Experiment
) -> None:
    manifest = trained.report.checkpoint.manifest
    first = GateBudget.from_dict(manifest.evaluation["budget"], manifest.version)
    later = first.after(Look(2, 0.004), (first.first_look or 0) + 10, "refuse", {})
    GateAccount.read(publisher).record_run(7, manifest, later)
    account = GateAccount.read(publisher)
    history = account.history(shelf)
    assert account.caught_up(history) is account
    assert history.next_run() == 8
    assert history.budget(experiment).spent == pytest.approx(0.029)


@pytest.mark.parametrize("arms", ["the same", "other"])
def test_a_store_from_before_the_account_says_it_by_its_checkpoints(
    arms: str, publisher: Publisher, trained: Any, make_experiment: Any
) -> None:
    checkpoint = trained.report.checkpoint
    publish_checkpoint(publisher.store, checkpoint.manifest, checkpoint.blobs, KEY)
    damaged = checkpoint.manifest.model_copy(update={"version": "damaged", "evaluation": {"budget": 3}})
    publish_checkpoint(publisher.store, damaged, checkpoint.blobs, KEY)
    if arms == "other":
        weights = [{"name": "repin", "production": 91.6, "low": 10, "high": 200, "steps": 5}]
        other = make_experiment(weights=weights)
        publisher = replace(publisher, experiment=other, rule=trust_of(KEY, other))
    history = GateAccount.read(publisher).history(NOWHERE)
    assert history.stored is not None
    assert (history.stored.number, history.stored.version) == (1, checkpoint.version)
    assert history.stored.budget.spent == 0.025
    assert history.fetch is not None
    if arms == "the same":
        found = history.fetch(checkpoint.version)
        assert (found.manifest, found.blobs, found.optimiser) == (checkpoint.manifest, checkpoint.blobs, b"")
    with pytest.raises(UnknownCheckpoint):
        history.fetch("never published")


def test_the_own_key_need_not_be_trusted_and_another_must(publisher: Publisher, trained: Any) -> None:
    nobody = replace(publisher, rule=replace(publisher.rule, trusted=TrustedKeys({})))
    manifest = trained.report.checkpoint.manifest
    GateAccount.read(nobody).record_run(
        1, manifest, GateBudget.from_dict(manifest.evaluation["budget"], manifest.version)
    )
    assert spent(nobody) == 0.025
    stranger = SigningKey.generate(Role.LEARNER, "other")
    with pytest.raises(SignatureInvalid, match="not a trusted key"):
        GateAccount.read(replace(nobody, key=stranger))


@pytest.mark.parametrize("budget", [{}, {"settings": 3}, {"last": None}])
def test_a_budget_that_this_version_cannot_read_is_said_and_not_taken_for_none(
    budget: Mapping[str, Any], publisher: Publisher, trained: Any
) -> None:
    run = RunAccount(1, trained.report.checkpoint.manifest, budget)
    with publisher.lease.granted() as token:
        nothing = FoundAccount(None, None)
        keep_account(publisher.store, run, nothing, publisher.decider("run 1"), fencing_token=token)
    with pytest.raises(RecordMalformed, match="its budget cannot be read"):
        GateAccount.read(publisher).history(NOWHERE)


def test_what_goes_on_without_the_account_says_why_it_is_not_read(publisher: Publisher, trained: Any) -> None:
    def rule() -> TrustRule:
        return publisher.rule

    assert stored_run(publisher.store, rule) is None
    manifest = trained.report.checkpoint.manifest
    budget = GateBudget.from_dict(manifest.evaluation["budget"], manifest.version)
    GateAccount.read(publisher).record_run(4, manifest, budget)
    assert stored_run(publisher.store, rule) == LastRun(4, manifest.version, budget)
    with capture_logs() as said:
        assert stored_run(publisher.store, lambda: replace(publisher.rule, trusted=TrustedKeys({}))) is None
    assert "no key is trusted" in said[0]["what"]
