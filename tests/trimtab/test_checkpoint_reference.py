"""A checkpoint by its name, on this machine or in the store."""

from pathlib import Path

import pytest

from learner.checkpoints.checkpoint import Checkpoint, CheckpointShelf
from policy_store.backends.memory_store import MemoryStore
from policy_store.decisions.governance import publish_checkpoint
from policy_store.records.store_errors import AmbiguousVersion, UnknownCheckpoint
from tests.policy_store.store_samples import BLOBS, LEARNER, NOW, manifest, rule
from trimtab.checkpoint_reference import checkpoint_named


def test_a_checkpoint_is_named_as_everywhere(tmp_path: Path) -> None:
    """In full it is taken from this machine; otherwise the store says which one is meant, and has it if need be."""
    shelf, store = CheckpointShelf(tmp_path / "checkpoints"), MemoryStore("small")
    here, there = (manifest("small", version, created_at=NOW + age) for age, version in enumerate(("v1", "v2")))
    shelf.save(Checkpoint(here, BLOBS, b"optimiser"))
    for made in (here, there):
        publish_checkpoint(store, made, BLOBS, LEARNER)

    def found(reference: str) -> tuple[str, bytes]:
        checkpoint = checkpoint_named(reference, shelf, store, rule("small"), "learned")
        return checkpoint.version, checkpoint.optimiser

    assert [found(each) for each in ("v1", "latest", "v2")] == [("v1", b"optimiser"), ("v2", b""), ("v2", b"")]
    with pytest.raises(AmbiguousVersion, match="v2, v1"):
        found("v")


def test_what_is_no_policy_is_told_with_what_may_be_written(tmp_path: Path) -> None:
    store = MemoryStore("small", clock=lambda: NOW)
    shelf = CheckpointShelf(tmp_path)
    for version in ("20240501T120000000Z-0a1b2c3d", "20240502T120000000Z-0a1b2c3d"):
        publish_checkpoint(store, manifest("small", version), BLOBS, LEARNER)
    with pytest.raises(UnknownCheckpoint, match=r"'nope' is no policy: .*newest are 20240502.*, 20240501") as unknown:
        checkpoint_named("nope", shelf, store, rule("small"), "learned, uniform")
    assert "learned, uniform, or a version" in unknown.value.fix
    with pytest.raises(UnknownCheckpoint, match="channel:stable points to nothing yet"):
        checkpoint_named("stable", shelf, store, rule("small"), "learned")
