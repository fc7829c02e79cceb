"""A store that does not answer is reported quickly, by name, and without its password."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from policy_store.redis_connection import RedisConnection
from policy_store.redis_store import RedisStore
from policy_store.store_errors import StoreRefused, StoreUnreachable
from tests.components.free_port import free_port
from tests.policy_store.store_samples import checkpoint

LIMIT_S = 10.0


@pytest.fixture
def silent_server() -> Iterator[str]:
    """A server that accepts connections and never says a word."""
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
    assert "TRIMTAB_REDIS_URL" in error.mend


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


def test_a_user_without_permission_is_told_to_check_the_acl(redis_url: str) -> None:
    admin: Any = redis.Redis.from_url(redis_url)
    admin.execute_command("ACL", "SETUSER", "reader", "on", ">word", "~*", "+@read", "+ping")
    store = RedisStore(redis_url.replace("redis://", "redis://reader:word@"), "homefeed")
    assert store.channel("stable") is None
    with pytest.raises(StoreRefused) as caught:
        store.heartbeat("n", {}, 1)
    assert "ACL" in caught.value.mend
    assert "word" not in caught.value.what
    admin.execute_command("ACL", "DELUSER", "reader")
    admin.close()
    store.close()
