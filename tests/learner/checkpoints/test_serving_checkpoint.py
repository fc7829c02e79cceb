"""The checkpoint in the stable channel is found, verified, and named in words if it cannot be read."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from event_schemas.errors import SettingError
from event_schemas.experiment import Experiment
from learner.checkpoints.checkpoint import CheckpointShelf
from learner.checkpoints.publishing import Publisher
from learner.checkpoints.serving_checkpoint import PRODUCTION_SERVES, find_serving, load_version, read_serving
from learner.judgement.gate import GateVerdict, Reason, Verdict
from policy_store.backends.memory_store import MemoryStore
from policy_store.decisions.verification import Approval, TrustRule
from policy_store.records.signing import Role, SigningKey, TrustedKeys
from policy_store.records.store_errors import StoreUnreachable, UnknownCheckpoint
from tests.learner_samples import trust_of

NOW = 1_800_000_000_000
PASS = GateVerdict(Verdict.PASS, (Reason("harmless", "it is"),))


@pytest.fixture
def publisher(experiment: Experiment) -> Publisher:
    key = SigningKey.generate(Role.LEARNER, "main")
    store = MemoryStore(experiment.name, clock=lambda: NOW)
    return Publisher(store, key, experiment, lambda: NOW, trust_of(key, experiment))


@pytest.fixture
def trust(publisher: Publisher) -> TrustRule:
    space = publisher.experiment.action_space.digest
    return TrustRule(TrustedKeys.of(publisher.key), publisher.experiment.name, space, Approval.AUTO)


def test_production_serves_while_nothing_is_published(publisher: Publisher, trust: TrustRule, tmp_path: Path) -> None:
    found = read_serving(publisher.store, lambda: trust, CheckpointShelf(tmp_path))
    assert (found.checkpoint, found.detail, found.stable_empty) == (None, PRODUCTION_SERVES, True)


def test_it_comes_from_this_machine_or_from_the_store(
    publisher: Publisher, trust: TrustRule, trained: Any, tmp_path: Path
) -> None:
    checkpoint = trained.report.checkpoint
    publisher.publish(checkpoint, PASS)
    publisher.promote(checkpoint.version, "it is better")
    here = read_serving(publisher.store, lambda: trust, trained.learner.shelf)
    assert here.checkpoint is not None
    assert here.checkpoint.optimiser
    stored = read_serving(publisher.store, lambda: trust, CheckpointShelf(tmp_path))
    assert stored.checkpoint is not None
    assert (stored.checkpoint.manifest, stored.checkpoint.blobs) == (checkpoint.manifest, checkpoint.blobs)
    assert stored.detail == f"{checkpoint.version} is serving"


def test_what_nobody_trusted_signed_is_not_compared_with(
    publisher: Publisher, trust: TrustRule, trained: Any, tmp_path: Path
) -> None:
    publisher.publish(trained.report.checkpoint, PASS)
    publisher.promote(trained.report.checkpoint.version, "it is better")
    stranger = TrustedKeys.of(SigningKey.generate(Role.LEARNER, "other"))
    found = read_serving(publisher.store, lambda: replace(trust, trusted=stranger), CheckpointShelf(tmp_path))
    assert found.checkpoint is None
    assert found.detail.startswith("which checkpoint is serving is unknown: ")
    by_people_only = replace(trust, approval=Approval.MANUAL)  # the learner may not sign the stable channel
    assert read_serving(publisher.store, lambda: by_people_only, CheckpointShelf(tmp_path)).checkpoint is None


def test_a_broken_copy_is_named(publisher: Publisher, trust: TrustRule, trained: Any, tmp_path: Path) -> None:
    publisher.publish(trained.report.checkpoint, PASS)
    publisher.promote(trained.report.checkpoint.version, "it is better")
    shelf, version = trained.copied_to(tmp_path).shelf, trained.report.checkpoint.version
    (tmp_path / "checkpoints" / version / "policy.onnx").write_bytes(b"broken")
    found = read_serving(publisher.store, lambda: trust, shelf)
    assert found.checkpoint is None
    assert found.detail.startswith(f"{version} is serving, but cannot be read: ")


def test_a_store_that_is_away_is_no_error(trust: TrustRule, tmp_path: Path) -> None:
    class Away(MemoryStore):
        def versions(self) -> list[str]:
            raise StoreUnreachable("the store is away", fix="start it")

    found = read_serving(Away("small"), lambda: trust, CheckpointShelf(tmp_path))
    assert (found.checkpoint, found.detail) == (None, "which checkpoint is serving is unknown: the store is away")
    assert not found.stable_empty
    with pytest.raises(StoreUnreachable):
        find_serving(Away("small"), trust, CheckpointShelf(tmp_path))


def test_missing_keys_are_no_error(tmp_path: Path) -> None:
    def rule() -> TrustRule:
        raise SettingError("TRIMTAB_TRUSTED_KEYS is not set", fix="set it")

    found = read_serving(MemoryStore("small"), rule, CheckpointShelf(tmp_path))
    assert "TRIMTAB_TRUSTED_KEYS is not set" in found.detail


def test_an_unknown_version_cannot_be_loaded(publisher: Publisher, trust: TrustRule, tmp_path: Path) -> None:
    with pytest.raises(UnknownCheckpoint):
        load_version("v9", CheckpointShelf(tmp_path), publisher.store, trust)
