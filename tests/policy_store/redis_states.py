"""A separate redis-server that a test can put into states in which Redis refuses writes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

from tests.components.free_port import free_port
from tests.components.redis_server import RedisServer

SECONDS = 30.0


class SickRedis:
    """One redis-server; each state lasts as long as its `with` block."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._server = RedisServer(directory)
        self._server.start()
        self.url = self._server.url
        self.raw: Any = redis.Redis.from_url(self.url)

    def stop(self) -> None:
        """End the server."""
        self.raw.close()
        self._server.stop()

    @contextmanager
    def full(self) -> Iterator[None]:
        """More than `maxmemory` is used, by so much that no freed buffer leaves room, and nothing may be evicted."""
        self.raw.config_set("maxmemory-policy", "noeviction")
        self.raw.config_set("maxmemory", self.raw.info("memory")["used_memory"] // 2)
        yield
        self.raw.config_set("maxmemory", 0)

    @contextmanager
    def replica(self) -> Iterator[None]:
        """It is a replica of a primary that does not answer."""
        self.raw.replicaof("127.0.0.1", free_port())
        yield
        self.raw.replicaof("NO", "ONE")

    @contextmanager
    def lost_replica(self) -> Iterator[None]:
        """The same, configured not to serve old data."""
        self.raw.config_set("replica-serve-stale-data", "no")
        with self.replica():
            yield
        self.raw.config_set("replica-serve-stale-data", "yes")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """It must not write without a replica, and has none."""
        self.raw.config_set("min-replicas-to-write", 1)
        yield
        self.raw.config_set("min-replicas-to-write", 0)

    @contextmanager
    def unsaved(self) -> Iterator[None]:
        """Its last snapshot could not be written: there is a folder in the file's place."""
        (self._directory / "dump.rdb" / "in the way").mkdir(parents=True)
        self.raw.config_set("save", "3600 1")
        self.raw.bgsave()
        deadline = time.monotonic() + SECONDS
        while self.raw.info("persistence")["rdb_last_bgsave_status"] == "ok":
            assert time.monotonic() < deadline, "the snapshot was written"
            time.sleep(0.02)
        yield
        self.raw.config_set("save", "")
