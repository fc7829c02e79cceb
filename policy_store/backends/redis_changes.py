"""Runs the store's scripts, each with an audit entry that is chained to the last one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from redis.exceptions import ResponseError

from policy_store.backends import redis_control_scripts, redis_scripts
from policy_store.backends.key_names import KeyNames
from policy_store.backends.redis_connection import RedisConnection
from policy_store.records.audit import AuditEntry, AuditEvent, chain
from policy_store.records.store_errors import RevisionConflict

AUDIT_ATTEMPTS = 500
KILL_ATTEMPTS = 20
_NO_ENTRY = AuditEntry(b"", "")


@dataclass(frozen=True)
class RedisChanges:
    """The scripts of one experiment on one connection."""

    connection: RedisConnection
    keys: KeyNames

    def run(self, script: str, keys: list[str], arguments: list[Any]) -> list[Any]:
        """Runs a script; returns its answer."""
        with self.connection.answering("running a script"):
            return cast(list[Any], self.connection.quick.register_script(script)(keys=keys, args=arguments))

    def change(self, script: str, event: AuditEvent, keys: list[str], arguments: list[Any]) -> list[Any]:
        """Runs a script with an audit entry that follows the last one; retries when another writer was first."""
        audit_only = script in (redis_scripts.APPEND_AUDIT, redis_control_scripts.APPEND_AUDIT)
        common = [self.keys.audit] * 3 if audit_only else [self.keys.audit, self.keys.updates, self.keys.lease]
        for _ in range(AUDIT_ATTEMPTS):
            answer = self.run(script, common + keys, self._entry(event) + arguments)
            if answer[0] != redis_scripts.AUDIT_MOVED:
                return answer
        raise RevisionConflict("too many writers are appending to the audit at once", fix="try again in a moment")

    def change_anyway(self, script: str, event: AuditEvent, keys: list[str], arguments: list[Any]) -> None:
        """Runs a script that must not fail because of other writers to the audit: after too many of them, the change is
        made first and its audit entry is added afterwards.

        The script's first argument after those for the audit says whether its entry must follow the last one.
        """
        common = [self.keys.audit, self.keys.updates, self.keys.lease]
        for attempt in range(KILL_ATTEMPTS):
            must = redis_control_scripts.ANYWAY if attempt == KILL_ATTEMPTS - 1 else redis_control_scripts.MUST_FOLLOW
            answer = self.run(script, common + keys, [*self._entry(event), must, *arguments])
            if answer[0] == redis_control_scripts.UNAUDITED:
                self._audit_afterwards(event)
            if answer[0] != redis_scripts.AUDIT_MOVED:
                return

    def last_audit(self) -> tuple[str, AuditEntry | None]:
        """Id and content of the newest audit entry; if the audit key is not a stream, an empty entry."""
        with self.connection.answering("reading the audit"):
            try:
                last = stream(self.connection.quick.xrevrange(self.keys.audit, count=1))
            except ResponseError as error:
                if not str(error).startswith("WRONGTYPE"):
                    raise
                return "", _NO_ENTRY
        return (last[0][0], audit_entry(last[0][1])) if last else ("", None)

    def _audit_afterwards(self, event: AuditEvent) -> None:
        try:
            self.change(redis_control_scripts.APPEND_AUDIT, event, [], [])
        except RevisionConflict as crowded:
            raise RevisionConflict(
                f"the record is published and in force, but its audit entry was not written: {crowded.what}",
                fix="find out with `trimtab policy verify` who writes to the audit",
            ) from crowded

    def _entry(self, event: AuditEvent) -> list[Any]:
        """The first arguments of every script: the id of the last entry, then the new entry and its hash."""
        last_id, previous = self.last_audit()
        entry = chain(event, previous)
        return [last_id, entry.entry, entry.hash]


def audit_entry(fields: dict[str, bytes]) -> AuditEntry:
    """The entry in a stream's fields, whatever they contain."""
    return AuditEntry(fields.get("entry", b""), fields.get("hash", b"").decode("ascii", "replace"))


def stream(answer: Any) -> list[tuple[str, dict[str, bytes]]]:
    """Ids and fields of a stream's entries."""
    return [(entry_id.decode(), text_fields(fields)) for entry_id, fields in answer]


def text_fields(answer: Any) -> dict[str, bytes]:
    """A hash with its field names as text."""
    return {name.decode("utf-8", "replace"): value for name, value in answer.items()}
