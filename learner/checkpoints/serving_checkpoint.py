"""Finds the checkpoint that is serving.

1. The stable channel's record names it; the record's signature and role are verified.
2. It is read from this machine, by its hashes, or else from the store, by its signature.
"""

from collections.abc import Callable
from dataclasses import dataclass

from event_schemas.errors import ComponentUnreachable, TrimtabError
from learner.checkpoints.checkpoint import Checkpoint, CheckpointShelf
from learner.judgement.serving_comparison import NOT_ASKED
from policy_store.backends import PolicyStore
from policy_store.decisions import TrustRule, resolve_version, verify_checkpoint
from policy_store.records import Channel, UnknownCheckpoint

PRODUCTION_SERVES = "the stable channel has no checkpoint, so production is serving"


@dataclass(frozen=True, eq=False)
class ServingCheckpoint:
    """The checkpoint in the stable channel; without one, `detail` says why.

    `stable_empty`: the channel is known to have none, so that production serves.
    """

    checkpoint: Checkpoint | None = None
    detail: str = NOT_ASKED
    stable_empty: bool = False


def find_serving(store: PolicyStore, rule: TrustRule, shelf: CheckpointShelf) -> ServingCheckpoint:
    """What the stable channel names now, verified; an expired record counts, as in `resolve_version`.

    A checkpoint that cannot be read is named in the detail. Raises StoreUnreachable, and the errors of verifying the
    channel's record.
    """
    try:
        version = resolve_version(store, Channel.STABLE.value, rule)
    except UnknownCheckpoint:
        return ServingCheckpoint(None, PRODUCTION_SERVES, stable_empty=True)
    try:
        return ServingCheckpoint(load_version(version, shelf, store, rule), f"{version} is serving")
    except ComponentUnreachable:
        raise
    except TrimtabError as fault:
        return ServingCheckpoint(None, f"{version} is serving, but cannot be read: {fault.what}")


def read_serving(store: PolicyStore, rule: Callable[[], TrustRule], shelf: CheckpointShelf) -> ServingCheckpoint:
    """The same for what goes on without it, such as an evaluation: never raises a TrimtabError, the detail says what is
    wrong."""
    try:
        return find_serving(store, rule(), shelf)
    except TrimtabError as fault:
        return ServingCheckpoint(None, f"which checkpoint is serving is unknown: {fault.what}")


def load_version(version: str, shelf: CheckpointShelf, store: PolicyStore, rule: TrustRule) -> Checkpoint:
    """A version from this machine, or if it is not here, from the store, verified and without the optimiser's state.

    Raises CheckpointBroken, UnknownCheckpoint, StoreUnreachable and the errors of `verify_checkpoint`.
    """
    if version in shelf.versions():
        return shelf.load(version)
    signed = store.get_checkpoint(version)
    return Checkpoint(verify_checkpoint(signed, version, rule), signed.blobs, optimiser=b"")
