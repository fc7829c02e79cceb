"""A store that does not answer is reported quickly, by name, and without its password."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from policy_store.backends.redis_connection import RedisConnection
from policy_store.backends.redis_store import RedisStore
from policy_store.records.store_errors import (
    StoreCertificateRefused,
    StoreCredentialsRefused,
    StoreRefused,
    StoreRightMissing,
    StoreUnreachable,
)
from tests.components.certificates import write_certificates
from tests.components.free_port import free_port
from tests.components.tcp_forwarder import TcpForwarder
from tests.policy_store.store_samples import checkpoint

LIMIT_S = 10.0


@pytest.fixture
def silent_server() -> Iterator[str]:
    """A server that accepts connections and never answers."""
    listener = socket.create_server(("127.0.0.1", 0))
    held: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                held.append(listener.accept()[0])
            except OSError:
                return

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield f"redis://:secret@127.0.0.1:{listener.getsockname()[1]}/0"
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()
    for each in held:
        each.close()


def unreachable_within_limit(store: RedisStore, action: str) -> StoreUnreachable:
    actions: dict[str, Callable[[], object]] = {
        "read": lambda: store.channel("stable"),
        "put": lambda: store.put_checkpoint(checkpoint("homefeed")),
        "get": lambda: store.get_checkpoint("v1"),
        "updates": lambda: store.updates_since("0", block_ms=60_000),
        "heartbeat": lambda: store.heartbeat("n", {}, 1),
        "audit": lambda: store.append_audit("a", "b", {}),
        "lease": lambda: store.acquire_lease("a", 1),
    }
    started = time.monotonic()
    with pytest.raises(StoreUnreachable) as caught:
        actions[action]()
    assert time.monotonic() - started < LIMIT_S
    return caught.value


@pytest.mark.parametrize("action", ["read", "put", "get", "updates", "heartbeat", "audit", "lease"])
def test_a_closed_port_is_reported_at_once(action: str) -> None:
    port = free_port()
    error = unreachable_within_limit(RedisStore(f"redis://127.0.0.1:{port}/0", "homefeed"), action)
    assert f"redis://127.0.0.1:{port}/0" in error.what
    assert "TRIMTAB_REDIS_URL" in error.fix


@pytest.mark.parametrize("action", ["read", "put", "get", "updates"])
def test_a_server_that_hangs_is_reported_within_two_seconds(silent_server: str, action: str) -> None:
    error = unreachable_within_limit(RedisStore(silent_server, "homefeed"), action)
    assert "secret" not in str(error)


@pytest.mark.parametrize("url", ["localhost:6379", "http://localhost", "redis://localhost:port/0", ""])
def test_an_address_that_is_none_is_named(url: str) -> None:
    with pytest.raises(StoreUnreachable, match="not a Redis address"):
        RedisStore(url, "homefeed")


def test_what_redis_refuses_is_told_apart_from_silence(redis_url: str) -> None:
    connection = RedisConnection(redis_url)
    connection.quick.set("a string", "x")
    with pytest.raises(StoreRefused, match="asking"), connection.answering("asking"):
        connection.quick.hgetall("a string")
    connection.close()


@pytest.fixture
def reader(redis_url: str) -> Iterator[str]:
    """The URL of a user who may read the keys of `homefeed` only."""
    admin: Any = redis.Redis.from_url(redis_url)
    admin.execute_command(
        "ACL", "SETUSER", "reader", "on", ">word", "~trimtab:{homefeed}:*", "+@read", "+ping", "+multi", "+exec"
    )
    yield redis_url.replace("redis://", "redis://reader:word@")
    admin.execute_command("ACL", "DELUSER", "reader")
    admin.close()


def test_a_missing_right_names_the_user_the_deed_and_the_command(reader: str) -> None:
    store = RedisStore(reader, "homefeed")
    assert store.channel("stable") is None
    with pytest.raises(StoreRightMissing, match=r"user 'reader'.*sending a heartbeat.*run the '\w+' command") as caught:
        store.heartbeat("n", {}, 1)
    assert "ACL" in caught.value.fix
    assert "word" not in caught.value.what
    store.close()


def test_a_script_that_does_more_than_its_user_may_is_a_missing_right(redis_url: str, reader: str) -> None:
    admin: Any = redis.Redis.from_url(redis_url)
    admin.execute_command("ACL", "SETUSER", "reader", "+@scripting")
    admin.close()
    store = RedisStore(reader, "homefeed")
    with pytest.raises(StoreRightMissing, match="user 'reader'"):
        store.acquire_lease("a", 1_000)
    store.close()


def test_another_experiments_keys_are_a_missing_right(reader: str) -> None:
    store = RedisStore(reader, "explore")
    with pytest.raises(StoreRightMissing, match="access one of the keys"):
        store.channel("stable")
    with pytest.raises(StoreRightMissing, match="access one of the keys"):
        store.lease_owner()
    store.close()


@pytest.mark.parametrize("credentials", ["reader:xyzzy", "nobody:plugh"])
def test_a_wrong_password_is_told_apart_from_silence(reader: str, credentials: str) -> None:
    store = RedisStore(reader.replace("reader:word", credentials), "homefeed")
    with pytest.raises(StoreCredentialsRefused, match=f"user '{credentials.split(':')[0]}'") as caught:
        store.channel("stable")
    assert credentials.split(":")[1] not in caught.value.what
    store.close()


def test_a_certificate_of_another_authority_is_told_apart_from_silence(redis_url: str, tmp_path: Path) -> None:
    ours, other = write_certificates(tmp_path), write_certificates(tmp_path, "other")
    front = TcpForwarder(ours.server)
    front.open(redis_url.removeprefix("redis://").removesuffix("/0"))
    secured = f"rediss://{front.address}/0?ssl_ca_certs="
    assert RedisStore(f"{secured}{ours.authority}", "homefeed").channel("stable") is None
    for untrusted in (other.authority, tmp_path / "none.pem"):
        with pytest.raises(StoreCertificateRefused, match="TLS fails") as caught:
            RedisStore(f"{secured}{untrusted}", "homefeed").channel("stable")
        assert "ssl_ca_certs" in caught.value.fix
    front.close()


def test_a_protocol_that_the_port_does_not_speak_is_silence(redis_url: str) -> None:
    with pytest.raises(StoreUnreachable, match="does not answer") as caught:
        RedisStore(redis_url.replace("redis://", "rediss://"), "homefeed").channel("stable")
    assert not isinstance(caught.value, StoreCertificateRefused)
    assert "rediss:// if it speaks TLS, redis:// if not" in caught.value.fix
