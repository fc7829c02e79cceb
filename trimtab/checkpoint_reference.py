"""Finds the checkpoint that a command's --policy names, on this machine or in the policy store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trimtab.store_access import version_names

if TYPE_CHECKING:
    from learner.checkpoints import Checkpoint, CheckpointShelf
    from policy_store.backends import PolicyStore
    from policy_store.decisions import TrustRule


def checkpoint_named(
    reference: str, shelf: CheckpointShelf, store: PolicyStore, rule: TrustRule, others: str
) -> Checkpoint:
    """The referenced checkpoint: from this machine if named in full, else resolved through the store.

    `others` is what else the option may be, for the error. Raises UnknownCheckpoint, CheckpointBroken and the store's
    errors.
    """
    from learner.checkpoints import load_version
    from policy_store.decisions import resolve_version
    from policy_store.records import UnknownCheckpoint

    if reference in shelf.versions():
        return shelf.load(reference)
    try:
        version = resolve_version(store, reference, rule)
    except UnknownCheckpoint as unknown:
        if reference in version_names() or type(unknown) is not UnknownCheckpoint:
            raise
        raise UnknownCheckpoint(
            f"--policy {reference!r} is no policy: {unknown.what}",
            fix=f"give {others}, or a version: {unknown.fix}",
        ) from unknown
    return load_version(version, shelf, store, rule)
