"""A change and its audit entry, when others write to the audit at the same time or have left junk in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from policy_store.backends import redis_control_scripts, redis_scripts
from policy_store.backends.key_names import KeyNames
from policy_store.backends.redis_changes import RedisChanges, audit_entry, stream, text_fields
from policy_store.backends.redis_connection import RedisConnection
from policy_store.backends.redis_control_scripts import ANYWAY, PUBLISH_CONTROL
from policy_store.records.audit import AuditEvent, chain, verify_chain
from policy_store.records.store_errors import RevisionConflict, StoreRefused
from tests.policy_store.store_samples import fresh_experiment

EVENT = AuditEvent(1, "ada", "note", {"n": 1})


@pytest.fixture
def changes(redis_url: str) -> Iterator[RedisChanges]:
    connection = RedisConnection(redis_url)
    yield RedisChanges(connection, KeyNames(fresh_experiment()))
    connection.close()


@pytest.fixture
def raw(redis_url: str) -> Iterator[Any]:
    client = redis.Redis.from_url(redis_url)
    yield client
    client.close()


def entries(changes: RedisChanges, raw: Any) -> list[Any]:
    return [audit_entry(fields) for _, fields in stream(raw.xrange(changes.keys.audit))]


def test_entries_form_one_chain(changes: RedisChanges, raw: Any) -> None:
    assert changes.last_audit() == ("", None)
    for _ in range(3):
        assert changes.change(redis_scripts.APPEND_AUDIT, EVENT, [], []) == [b"done"]
    assert verify_chain(entries(changes, raw)) == entries(changes, raw)[-1].hash
    newest, last = changes.last_audit()
    assert last == entries(changes, raw)[-1]
    assert newest == raw.xrevrange(changes.keys.audit, count=1)[0][0].decode()


def test_an_audit_that_is_no_stream_counts_as_an_entry_that_is_none(changes: RedisChanges, raw: Any) -> None:
    raw.set(changes.keys.audit, "x")
    newest, last = changes.last_audit()
    assert newest == ""
    assert last is not None
    assert chain(EVENT, last).content["previous"] == ""
    with pytest.raises(StoreRefused, match="WRONGTYPE"):
        changes.change(redis_scripts.APPEND_AUDIT, EVENT, [], [])


class AlwaysQuicker(RedisChanges):
    """Another writer appends to the audit between every read and write, except for entries that follow a kill."""

    spared = redis_control_scripts.APPEND_AUDIT

    def run(self, script: str, keys: list[str], arguments: list[Any]) -> list[Any]:
        if script != self.spared:
            self.connection.quick.xadd(self.keys.audit, {"entry": "{}", "hash": "h"})
        return super().run(script, keys, arguments)


def test_what_must_happen_happens_and_its_entry_follows(changes: RedisChanges, raw: Any) -> None:
    crowded = AlwaysQuicker(changes.connection, changes.keys)
    keys = [changes.keys.slot("control"), changes.keys.history("control"), changes.keys.kills, changes.keys.resumes]
    crowded.change_anyway(PUBLISH_CONTROL, EVENT, keys, ["{}", "s", "k", 5, "{}", "kill", "a hash"])
    assert raw.hkeys(changes.keys.kills) == [b"a hash"]
    assert raw.hget(changes.keys.slot("control"), "record") == b"{}"
    assert [each.content.get("action") for each in entries(changes, raw)].count("note") == 1
    assert ANYWAY not in raw.hvals(changes.keys.kills)
    with pytest.raises(RevisionConflict, match="too many writers"):
        crowded.change(redis_scripts.KEEP_PROPOSAL, EVENT, [changes.keys.proposals], ["p", "{}", ""])


def test_a_kill_whose_entry_cannot_follow_is_said_to_hold(changes: RedisChanges, raw: Any) -> None:
    crowded = AlwaysQuicker(changes.connection, changes.keys)
    crowded.spared = ""
    keys = [changes.keys.slot("control"), changes.keys.history("control"), changes.keys.kills, changes.keys.resumes]
    with pytest.raises(RevisionConflict, match="is published and in force"):
        crowded.change_anyway(PUBLISH_CONTROL, EVENT, keys, ["{}", "s", "k", 5, "{}", "kill", "a hash"])
    assert raw.hkeys(changes.keys.kills) == [b"a hash"]


def test_names_of_fields_are_text_whatever_they_are() -> None:
    assert text_fields({b"a": b"1", b"\xff": b"2"}) == {"a": b"1", "�": b"2"}
    assert audit_entry({"hash": b"\xff"}).entry == b""
