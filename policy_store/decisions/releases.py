"""What became of releases: the lift that was expected offline beside the lift that was seen online.

A release is a checkpoint that an online experiment compared. When the experiment ends, one entry of the audit keeps
both lifts. The audit is a chain of hashes and is never cut, but its entries are not signed: they explain decisions,
which have signed records of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from event_schemas.errors import TrimtabError
from policy_store.backends.store import PolicyStore
from policy_store.records.audit import AuditEntry

RELEASE_ACTION = "end release"
Ending = Literal["promoted", "withdrawn", "concluded"]


@dataclass(frozen=True, slots=True)
class Release:
    """One release that has ended.

    version     the checkpoint
    experiment  the id of the online experiment, and `arm` the checkpoint's arm in it
    ended       how, and `reason` why
    users       of the arm and its control together; 0 if nothing was read
    offline     by outcome: lift in the hold-out, over production or what served, its interval [lower, upper] and that
                interval's level
    online      by outcome: lift over the control, the interval that holds at every look, and that of one look
    """

    version: str
    experiment: str
    arm: str
    ended: Ending
    reason: str
    users: int
    offline: Mapping[str, Any]
    online: Mapping[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values, as they are kept in the audit."""
        return {
            "version": self.version,
            "experiment": self.experiment,
            "arm": self.arm,
            "ended": self.ended,
            "reason": self.reason,
            "users": self.users,
            "offline": dict(self.offline),
            "online": dict(self.online),
        }


def keep_release(store: PolicyStore, release: Release, by: str) -> None:
    """Keep what became of a release; an experiment that is concluded again has its entry already.

    A canary may run and end several times. Raises the errors of PolicyStore.append_audit.
    """
    if release.ended == "concluded" and any(_same(kept, release) for kept in kept_releases(store)):
        return
    store.append_audit(by, RELEASE_ACTION, release.as_dict())


def kept_releases(store: PolicyStore) -> list[dict[str, Any]]:
    """The values of every Release kept, oldest first, with `at` (epoch ms) and `by`.

    Entries that cannot be read are left out; `trimtab policy verify` checks the chain.
    """
    return [each for entry in store.audit_entries() if (each := _read(entry)) is not None]


def _same(kept: Mapping[str, Any], release: Release) -> bool:
    told = release.as_dict()
    return all(kept.get(name) == told[name] for name in ("version", "experiment", "arm", "ended"))


def _read(entry: AuditEntry) -> dict[str, Any] | None:
    try:
        content = entry.content
    except TrimtabError:
        return None
    detail = content.get("detail")
    if content.get("action") != RELEASE_ACTION or not isinstance(detail, dict):
        return None
    return {"at": content.get("at"), "by": content.get("actor"), **detail}
