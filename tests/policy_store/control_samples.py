"""Kills, resumes and re-bases for tests, in the forms of this version and of version 0.1.0."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from policy_store.records.canonical_json import canonical_json
from policy_store.records.control_record import ControlRecord
from policy_store.records.governed_record import GovernedRecord, SignedRecord
from policy_store.records.rebase_record import RebaseRecord
from policy_store.records.revision_rules import VerifiedControl
from policy_store.records.signing import SigningKey
from tests.policy_store.store_samples import PEOPLE

YEAR_MS = 365 * 86_400_000


def stop(
    revision: int,
    parent: int | None = None,
    *,
    reason: str = "",
    experiment: str = "homefeed",
    key: SigningKey = PEOPLE,
) -> VerifiedControl:
    """A kill, as both versions write it."""
    record = ControlRecord(
        experiment=experiment, killed=True, revision=revision, parent_revision=parent, by="ada", reason=reason
    )
    return VerifiedControl(record.signed_by(key), record)


def odd_stop(experiment: str = "homefeed", key: SigningKey = PEOPLE, **content: Any) -> SignedRecord:
    """A kill that breaks the rules for records, as a client of its own may sign it."""
    fields = {"kind": "control", "experiment": experiment, "killed": True, "revision": 5, "by": "ada", "reason": ""}
    payload = canonical_json(fields | content)
    return SignedRecord(payload, key.sign(payload), key.key_id)


def go(
    revision: int,
    parent: int | None = None,
    lifts: Iterable[str] = (),
    *,
    experiment: str = "homefeed",
    key: SigningKey = PEOPLE,
) -> VerifiedControl:
    """A resume; without `lifts` as version 0.1.0 writes it."""
    content = {"experiment": experiment, "killed": False, "revision": revision, "parent_revision": parent, "by": "ada"}
    names = list(lifts)
    record = ControlRecord.from_content(content | ({"resumes": names} if names else {}))
    return VerifiedControl(record.signed_by(key), record)


def rebase_of(
    epoch: int, revision: int, voids: Iterable[GovernedRecord] = (), experiment: str = "homefeed"
) -> RebaseRecord:
    """A re-base that voids some records."""
    hashes = tuple(record.signed_by(PEOPLE).hash for record in voids)
    return RebaseRecord(experiment=experiment, epoch=epoch, revision=revision, by="ada", voids=hashes)
