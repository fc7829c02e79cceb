"""The scripts by themselves: a script that changes nothing leaves no trace, whichever condition fails."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from policy_store.backends import redis_scripts
from tests.policy_store.store_samples import fresh_experiment

COMMON = ["audit", "updates", "lease"]


class ScriptBench:
    """Runs scripts on key names of its own."""

    def __init__(self, client: Any, prefix: str) -> None:
        self.client = client
        self._prefix = prefix

    def key(self, name: str) -> str:
        return f"{{{self._prefix}}}:{name}"

    def run(self, script: str, keys: list[str], arguments: list[object]) -> bytes:
        answer = self.client.eval(script, len(keys), *(self.key(key) for key in keys), *arguments)
        assert isinstance(answer, list)
        return bytes(answer[0])

    def contents(self) -> dict[bytes, bytes | None]:
        """Every key with its serialised value."""
        return {key: self.client.dump(key) for key in self.client.keys(self.key("*"))}


@pytest.fixture
def scripts(redis_url: str) -> Iterator[ScriptBench]:
    client = redis.Redis.from_url(redis_url)
    yield ScriptBench(client, fresh_experiment())
    client.close()


def publish(bench: ScriptBench, **changes: object) -> bytes:
    given: dict[str, object] = {
        "previous": "1-1",
        "revision": 8,
        "parent": "7",
        "token": "",
        "version": "",
        "proposal": "",
    } | changes
    arguments = [given["previous"], "{}", "h2", '{"revision":8}', "s", "k", given["revision"], given["parent"]]
    arguments += [given["token"], given["version"], "control", "{}", given["proposal"], "decided"]
    keys = [*COMMON, "control", "history", "checkpoint", "proposals"]
    return bench.run(redis_scripts.PUBLISH, keys, arguments)


@pytest.fixture
def held(scripts: ScriptBench) -> ScriptBench:
    """A slot at revision 7 and one audit entry with id 1-1."""
    scripts.client.hset(scripts.key("control"), mapping={"record": '{"revision":7}', "signature": "", "key_id": ""})
    scripts.client.xadd(scripts.key("audit"), {"entry": "{}", "hash": b"\xff"}, id="1-1")
    scripts.client.hset(
        scripts.key("proposals"), mapping={"open": '{"status":"open"}', "shut": '{"status":"rejected"}'}
    )
    scripts.client.hset(scripts.key("lease"), mapping={"owner": "a", "token": "5"})
    return scripts


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({"token": "4"}, b"lease lost"),
        ({"parent": "6"}, b"conflict"),
        ({"parent": ""}, b"conflict"),
        ({"revision": 7}, b"conflict"),
        ({"revision": 6}, b"conflict"),
        ({"version": "v1"}, b"unknown checkpoint"),
        ({"proposal": "none"}, b"unknown proposal"),
        ({"proposal": "shut"}, b"unknown proposal"),
        ({"previous": "0-1"}, b"audit moved"),
        ({"previous": ""}, b"audit moved"),
    ],
)
def test_a_publish_that_fails_changes_no_key(held: ScriptBench, changes: dict[str, object], answer: bytes) -> None:
    before = held.contents()
    assert publish(held, **changes) == answer
    assert held.contents() == before


def test_a_publish_changes_slot_history_proposal_audit_and_updates_together(held: ScriptBench) -> None:
    assert publish(held, token="5", proposal="open") == redis_scripts.DONE
    client = held.client
    assert client.hget(held.key("control"), "record") == b'{"revision":8}'
    assert client.llen(held.key("history")) == 1
    assert client.hget(held.key("proposals"), "open") == b"decided"
    assert client.xlen(held.key("audit")) == 2
    assert [fields for _, fields in client.xrange(held.key("updates"))] == [{b"slot": b"control", b"value": b"8"}]


def test_revisions_of_the_size_of_epoch_milliseconds_compare_exactly(held: ScriptBench) -> None:
    held.client.hset(held.key("control"), "record", '{"revision":1700000000001}')
    assert publish(held, parent="1700000000001", revision=1700000000001) == b"conflict"
    assert publish(held, parent="1700000000000", revision=1700000000002) == b"conflict"
    assert publish(held, parent="1700000000001", revision=1700000000002) == redis_scripts.DONE


def test_an_upload_that_expired_is_not_published(scripts: ScriptBench) -> None:
    keys = [*COMMON, "upload", "checkpoint", "index"]
    answer = scripts.run(redis_scripts.PUT_CHECKPOINT, keys, ["", "{}", "h", "", "v1", "m", "s"])
    assert answer == b"upload gone"
    assert scripts.contents() == {}


def test_a_refused_checkpoint_leaves_no_upload_behind(held: ScriptBench) -> None:
    keys = [*COMMON, "upload", "checkpoint", "index"]
    for token, manifest, answer in (("4", "m", b"lease lost"), ("", "other", b"version taken")):
        held.client.hset(held.key("checkpoint"), mapping={"manifest": "m", "signature": "s"})
        held.client.hset(held.key("upload"), "manifest", manifest)
        given: list[object] = ["1-1", "{}", "h", token, "v1", manifest, "s"]
        assert held.run(redis_scripts.PUT_CHECKPOINT, keys, given) == answer
        assert not held.client.exists(held.key("upload"))


def test_a_proposal_moves_from_absent_to_open_to_decided(held: ScriptBench) -> None:
    def keep(proposal: str, status_now: str) -> bytes:
        [(newest, _)] = held.client.xrevrange(held.key("audit"), count=1)
        given: list[object] = [newest, "{}", "h", proposal, '{"status":"open"}', status_now]
        return held.run(redis_scripts.KEEP_PROPOSAL, [*COMMON, "proposals"], given)

    assert keep("new", "open") == b"proposal status"
    assert keep("new", "") == redis_scripts.DONE
    assert keep("new", "") == b"proposal status"
    assert keep("new", "open") == redis_scripts.DONE


def test_an_audit_that_takes_no_more_refuses_before_anything_is_written(held: ScriptBench) -> None:
    held.client.xadd(held.key("audit"), {"entry": "{}", "hash": "h"}, id=f"{2**64 - 1}-{2**64 - 1}")
    before = held.contents()
    with pytest.raises(redis.ResponseError, match="last possible ID"):
        publish(held, previous=f"{2**64 - 1}-{2**64 - 1}")
    assert held.contents() == before


def test_forgetting_nodes_spares_those_that_report(scripts: ScriptBench) -> None:
    scripts.client.zadd(scripts.key("nodes"), {"here": 1, "gone": 2})
    scripts.client.set(scripts.key("nodes:here"), "{}")
    keys = ["nodes", "nodes:here", "nodes:gone"]
    assert scripts.run(redis_scripts.FORGET_NODES, keys, ["here", "gone"]) == redis_scripts.DONE
    assert scripts.client.zrange(scripts.key("nodes"), 0, -1) == [b"here"]
