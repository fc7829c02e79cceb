"""docs/reference/redis_keys.md is true: its figures, its program and its permissions are run as written."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from event_schemas.instant import wall_clock_ms
from event_schemas.units import HOUR_MS
from policy_store.backends.key_names import KeyNames
from policy_store.backends.redis_store import RedisStore
from policy_store.decisions.account_keeping import FoundAccount, RunAccount, keep_account, read_account_verified
from policy_store.decisions.control_reading import ControlReader
from policy_store.decisions.governance import point_channel, publish_checkpoint
from policy_store.decisions.inspection import inspect_store
from policy_store.decisions.kill_decisions import kill, resume
from policy_store.decisions.rebase_reading import remembered_rebases
from policy_store.decisions.rebasing import rebase
from policy_store.records.channel_record import Channel, ChannelRecord
from policy_store.records.governed_record import decode_signature
from policy_store.records.preference_record import PreferenceRecord, PreferenceTarget
from policy_store.records.signing import Role, SigningKey, TrustedKeys
from policy_store.records.store_errors import StoreRefused
from tests.policy_store.control_samples import go, odd_stop, stop
from tests.policy_store.foreign_hands import RedisHands
from tests.policy_store.store_samples import (
    BLOBS,
    LEARNER,
    PEOPLE,
    SPACE,
    TRUSTED_TEXT,
    checkpoint,
    fresh_experiment,
    learner,
    manifest,
    people,
    rule,
    set_preference,
)

DOCUMENT = (Path(__file__).parents[2] / "docs" / "reference" / "redis_keys.md").read_text(encoding="utf-8")
ALPHA = PreferenceTarget.of(alpha=0.5)


def fenced(language: str) -> list[str]:
    """The code blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", DOCUMENT, flags=re.DOTALL)


def program(marker: str) -> str:
    """The one program of the page that contains a text."""
    [found] = [text for text in fenced("python") if marker in text]
    return found


def labelled(name: str) -> str:
    """The value beside a label of the worked example."""
    found = re.search(rf"^{name} +(\S+)$", DOCUMENT, flags=re.MULTILINE)
    assert found is not None
    return found.group(1)


def test_the_worked_signature_holds() -> None:
    [record] = fenced("json")
    payload, signature = record.strip().encode(), decode_signature(labelled("signature"), "the example")
    trusted = TrustedKeys.parse(f"{labelled('key_id')}={labelled('public')}")
    assert trusted.verify(labelled("key_id"), payload, signature, "the example") is Role.GOVERNANCE
    assert ChannelRecord.parse(payload).canonical() == payload
    key = SigningKey.parse(f"{labelled('key_id')}={base64.b64encode(bytes(range(32))).decode()}")
    assert key.sign(payload) == signature
    assert key.secret_text().partition("=")[2] in DOCUMENT


@pytest.fixture
def store(redis_url: str) -> Iterator[RedisStore]:
    """A store with a stable checkpoint."""
    made = RedisStore(redis_url, fresh_experiment())
    publish_checkpoint(made, manifest(made.experiment), BLOBS, LEARNER)
    point_channel(made, Channel.STABLE, "v1", people(wall_clock_ms()), ttl_ms=HOUR_MS)
    yield made
    made.close()


def run_program(redis_url: str, store: RedisStore, trusted: str = TRUSTED_TEXT) -> subprocess.CompletedProcess[str]:
    return run("checkpoint", redis_url, store.experiment, "stable", trusted)


def run(marker: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-c", program(marker), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_an_independent_program_verifies_what_trimtab_wrote(redis_url: str, store: RedisStore) -> None:
    ended = run_program(redis_url, store)
    assert ended.stderr == ""
    assert ended.stdout.split() == ["v1", SPACE]


def test_the_program_refuses_a_changed_blob_a_changed_record_and_a_stranger(redis_url: str, store: RedisStore) -> None:
    raw: Any = redis.Redis.from_url(redis_url)
    keys = KeyNames(store.experiment)
    raw.hset(keys.checkpoint("v1"), "policy.onnx", b"evil")
    assert "AssertionError: policy.onnx" in run_program(redis_url, store).stderr
    assert "KeyError: 'governance/board'" in run_program(redis_url, store, LEARNER.public_text()).stderr
    record = raw.hget(keys.slot("channel:stable"), "record")
    raw.hset(keys.slot("channel:stable"), "record", record.replace(b'"ada"', b'"eve"'))
    assert "InvalidSignature" in run_program(redis_url, store).stderr
    raw.close()


def test_every_key_in_redis_is_in_the_table(redis_url: str, store: RedisStore) -> None:
    store.heartbeat("n1", {}, 60)
    token = store.acquire_lease("a", 60).token
    keep_account(
        store, RunAccount(1, manifest(store.experiment), {}), FoundAccount(None, None), learner(), fencing_token=token
    )
    set_preference(store, ALPHA, people())
    hands = RedisHands(store, redis_url)
    hands.raw.set(hands.keys.audit, "no stream")
    resume(store, [kill(store, people()).signed_by(PEOPLE).hash], people())
    put_into_the_future(hands)
    rebase(store, rule(store.experiment), people())
    hands.close()
    documented = [re.escape(name) for name in re.findall(r"^\| `([^`]+)` \|", DOCUMENT, flags=re.MULTILINE)]
    patterns = [re.sub(r"<[^>]*>", ".+", name) for name in documented]
    raw: Any = redis.Redis.from_url(redis_url)
    prefix = f"trimtab:{{{store.experiment}}}:"
    names = [key.decode().removeprefix(prefix) for key in raw.scan_iter(f"{prefix}*")]
    raw.close()
    assert len(names) > 8
    assert [name for name in names if not any(re.fullmatch(pattern, name) for pattern in patterns)] == []


def put_into_the_future(hands: RedisHands) -> None:
    """A preference of 2036, as a clock ten years ahead would have written it."""
    revision = wall_clock_ms() + 10 * 365 * 24 * HOUR_MS
    far = PreferenceRecord(experiment=hands.store.experiment, revision=revision, by="eve", default=ALPHA)
    hands.publish_as_0_1_0("preference", far.signed_by(PEOPLE))


def test_another_client_kills_and_resumes(redis_url: str, store: RedisStore) -> None:
    reader = ControlReader(rule(store.experiment))
    arguments = (redis_url, store.experiment, PEOPLE.secret_text())
    killed = run('content["resumes"]', *arguments, "kill")
    assert killed.stderr == ""
    assert reader.read(store) == ()
    assert [each.hash for each in reader.latch.open_kills] == [killed.stdout.strip()]
    own = kill(store, people()).signed_by(PEOPLE).hash
    assert told(redis_url, store) == [*sorted([killed.stdout.strip(), own]), "epoch", "0", "voided", "0"]
    resumed = run('content["resumes"]', *arguments, "resume", killed.stdout.strip(), own)
    assert resumed.stderr == ""
    assert reader.read(store) == ()
    assert not reader.latch.killed
    assert told(redis_url, store) == ["epoch", "0", "voided", "0"]
    assert {each.problem for each in inspect_store(store, rule(store.experiment))} == {None}


def told(redis_url: str, store: RedisStore) -> list[str]:
    """What the page's reading program says of a store."""
    ended = run("rebases =", redis_url, store.experiment, TRUSTED_TEXT)
    assert ended.stderr == ""
    return ended.stdout.split()


@pytest.mark.parametrize("history", ["k", "kkr", "krk", "krkr", "Kr", "kKr", "krKr", "Kkr"])
def test_another_client_reads_kills_and_rebases_as_nodes_do(redis_url: str, store: RedisStore, history: str) -> None:
    """Kills (k) and resumes (r) of version 0.1.0, and kills of this one (K)."""
    hands, parent = RedisHands(store, redis_url), None
    for revision, each in enumerate(history, start=7):
        make = go if each == "r" else stop
        parent = revision if each == "K" else parent
        hands.publish_as_0_1_0("control", make(revision, parent, experiment=store.experiment).signed)
        parent = revision
    for forged in (stop(5, experiment="elsewhere"), stop(5, experiment=store.experiment, key=LEARNER)):
        hands.raw.hset(hands.keys.kills, forged.hash, json.dumps(forged.signed.as_item()))
    hands.raw.hset(hands.keys.kills, "junk", "?")
    odd = odd_stop(store.experiment, resumes=["ab" * 32], until="noon")
    hands.raw.hset(hands.keys.kills, odd.hash, json.dumps(odd.as_item()))
    put_into_the_future(hands)
    plan = rebase(store, rule(store.experiment), people())
    hands.close()
    reader = ControlReader(rule(store.experiment))
    reader.read(store)
    names = sorted(each.hash for each in reader.latch.open_kills)
    assert odd.hash in names
    assert told(redis_url, store) == [*names, "epoch", "1", "voided", "1"]
    assert plan.epoch == remembered_rebases(store, rule(store.experiment)).epoch


def acl_lines(experiment: str) -> dict[str, list[str]]:
    """The documented ACL commands by user, for another experiment."""
    lines = re.findall(r"^ACL SETUSER (\w+) (.*)$", DOCUMENT, flags=re.MULTILINE)
    return {user: rest.replace("{homefeed}", f"{{{experiment}}}").split() for user, rest in lines}


@pytest.fixture
def users(redis_url: str, store: RedisStore) -> Iterator[Callable[[str], RedisStore]]:
    """Opens the store as one of the documented users."""
    admin: Any = redis.Redis.from_url(redis_url)
    opened: list[RedisStore] = []
    for user, rules in acl_lines(store.experiment).items():
        admin.execute_command("ACL", "SETUSER", user, "reset", *rules)

    def open_as(user: str) -> RedisStore:
        url = redis_url.replace("redis://", f"redis://{user}:PASSWORD@")
        opened.append(RedisStore(url, store.experiment))
        return opened[-1]

    yield open_as
    for each in opened:
        each.close()
    admin.execute_command("ACL", "DELUSER", "serving", "learner", "people")
    admin.close()


@pytest.fixture
def redis_7(redis_url: str) -> bool:
    """Whether this server knows permissions to read a key without writing it."""
    client: Any = redis.Redis.from_url(redis_url)
    version = str(client.info("server")["redis_version"])
    client.close()
    return int(version.split(".")[0]) >= 7


def test_the_documented_users_need_redis_7(redis_url: str, redis_7: bool) -> None:
    client: Any = redis.Redis.from_url(redis_url)
    rules = acl_lines("homefeed")["serving"]
    if redis_7:
        assert client.execute_command("ACL", "SETUSER", "serving", "reset", *rules)
        client.execute_command("ACL", "DELUSER", "serving")
    else:
        with pytest.raises(redis.ResponseError, match="Syntax error"):
            client.execute_command("ACL", "SETUSER", "serving", "reset", *rules)
    client.close()


def test_each_documented_user_can_do_its_work_and_no_more(request: pytest.FixtureRequest, redis_7: bool) -> None:
    if not redis_7:
        return
    users: Callable[[str], RedisStore] = request.getfixturevalue("users")
    serving, learning, deciding = users("serving"), users("learner"), users("people")
    name = serving.experiment

    assert serving.channel("stable") is not None
    assert serving.get_checkpoint("v1") == checkpoint(name)
    assert list(serving.updates_since("0", block_ms=1))
    serving.heartbeat("n1", {}, 60)
    serving.append_audit("n1", "picked up", {"version": "v1"})
    with pytest.raises(StoreRefused):
        set_preference(serving, ALPHA, people())
    with pytest.raises(StoreRefused):
        serving.put_checkpoint(checkpoint(name, "v2"))
    with pytest.raises(StoreRefused):
        serving.acquire_lease("n1", 1)
    for forbidden in (serving, learning):
        with pytest.raises(StoreRefused):
            kill(forbidden, people())
    assert serving.control_records() == deciding.control_records()

    lease, nothing = learning.acquire_lease("main", 60), FoundAccount(None, None)
    ended = RunAccount(1, manifest(name, "v2"), {})
    learning.put_checkpoint(checkpoint(name, "v2"), fencing_token=lease.token)
    point_channel(learning, Channel.SHADOW, "v2", learner(), ttl_ms=HOUR_MS, fencing_token=lease.token)
    keep_account(learning, ended, nothing, learner(), fencing_token=lease.token)
    assert read_account_verified(learning, rule(name)).record is not None
    learning.renew_lease(lease)
    learning.release_lease(lease)
    assert learning.preference() is None
    with pytest.raises(StoreRefused):
        set_preference(learning, ALPHA, learner())
    with pytest.raises(StoreRefused):
        point_channel(learning, Channel.STABLE, "v2", learner(wall_clock_ms()), ttl_ms=HOUR_MS)

    set_preference(deciding, ALPHA, people())
    resume(deciding, [kill(deciding, people()).signed_by(PEOPLE).hash], people())
    point_channel(deciding, Channel.STABLE, "v2", people(wall_clock_ms() + 1), ttl_ms=HOUR_MS)
    assert [node.node_id for node in deciding.nodes()] == ["n1"]
