"""What people may write where a version is wanted, and which checkpoint they mean by it.

The first of these that fits counts:

1. a version in full;
2. `latest`: the checkpoint that came to the store last;
3. `stable`, `canary` or `shadow`: what that channel points to now, by a record that the reader believes;
4. the beginning of exactly one version.
"""

from __future__ import annotations

from policy_store.backends.store import PolicyStore
from policy_store.backends.store_change import unknown_checkpoint
from policy_store.decisions.governance import nothing_published
from policy_store.decisions.rebase_reading import remembered_rebases
from policy_store.decisions.verification import TrustRule, verify_channel
from policy_store.records.channel_record import Channel
from policy_store.records.store_errors import AmbiguousVersion, UnknownCheckpoint

LATEST = "latest"
NAMES = (LATEST, *(channel.value for channel in Channel))
"""What may be written besides versions and their beginnings."""
LISTED = 10


def resolve_version(store: PolicyStore, reference: str, rule: TrustRule) -> str:
    """The full version that `reference` stands for.

    Raises UnknownCheckpoint, AmbiguousVersion with the candidates, and for a channel's name as verify_channel, also
    for a record that a re-base voids. An expired record counts: it says what serves until nodes hear of another.
    """
    versions = store.versions()
    if reference in versions:
        return reference
    if reference == LATEST:
        return _latest(versions)
    if reference in NAMES:
        return _served(store, Channel(reference), rule)
    return _begun_by(reference, versions)


def _latest(versions: list[str]) -> str:
    if not versions:
        raise UnknownCheckpoint("the store has no checkpoint yet", fix="train and publish one with `trimtab learn`")
    return versions[-1]


def _served(store: PolicyStore, channel: Channel, rule: TrustRule) -> str:
    signed = store.channel(channel.value)
    if signed is None:
        raise nothing_published(channel)
    record = verify_channel(signed, channel, rule)
    if record.withdrawn:
        raise nothing_published(channel)
    remembered_rebases(store, rule).require_acceptable(signed, record, store.time_ms())
    return record.version


def _begun_by(beginning: str, versions: list[str]) -> str:
    candidates = [version for version in versions if beginning and version.startswith(beginning)]
    if not candidates:
        raise unknown_checkpoint(beginning, versions)
    if len(candidates) > 1:
        more = "" if len(candidates) <= LISTED else f" and {len(candidates) - LISTED} older ones"
        raise AmbiguousVersion(
            f"{beginning!r} begins {len(candidates)} versions: {', '.join(reversed(candidates[-LISTED:]))}{more}",
            fix="write more of the one you mean",
        )
    return candidates[0]
