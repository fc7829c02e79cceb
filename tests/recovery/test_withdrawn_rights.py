"""A right that is taken from a running join is named, and ends it; it never rests in silence."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from producers.topics.topic_admin import create_topics
from tests.components.experiment_sample import HOMEFEED
from tests.components.free_port import free_port
from tests.components.join_bench import COMMAND
from tests.components.secured_broker import ADMIN, SecuredBroker
from tests.recovery.test_refused_producers import environment, eventually

RIGHTS = {
    "events": ("READ,WRITE", "topic", "events"),
    "examples": ("WRITE", "topic", "examples"),
    "letters": ("WRITE", "topic", "dead-letters"),
    "group": ("READ", "group", "join"),
}


@contextmanager
def join(broker: SecuredBroker, prefix: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A worker that is ready."""
    create_topics(broker.client_config(ADMIN), prefix, 2, 1)
    for operations, kind, name in RIGHTS.values():
        broker.grant("join", operations, kind, prefix + name, prefixed=False)
    live = HOMEFEED.replace('clock = "replay"', 'clock = "live"')
    url = f"http://127.0.0.1:{(port := free_port())}"
    command = [*COMMAND, "join", "--session-seconds", "1", "--metrics-port", str(port)]
    variables = environment(broker, "join", prefix, folder, live)
    with subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, text=True) as worker:
        try:
            eventually(lambda: readiness(url).status_code == 200)
            yield worker
        finally:
            worker.kill()
            broker.revoke_all("join")


def readiness(url: str) -> httpx.Response:
    try:
        return httpx.get(f"{url}/readyz", timeout=5)
    except httpx.TransportError:
        return httpx.Response(599)


@pytest.mark.parametrize("withdrawn", ["events", "group"])
def test_a_join_that_may_not_read_any_more_ends_with_the_reason(
    secured_kafka: SecuredBroker, tmp_path: Path, withdrawn: str
) -> None:
    prefix = f"withdrawn-{withdrawn}."
    with join(secured_kafka, prefix, tmp_path) as worker:
        _, kind, suffix = RIGHTS[withdrawn]
        secured_kafka.revoke("join", kind, prefix + suffix)
        _, errors = worker.communicate(timeout=120)
    assert worker.returncode == 1
    assert errors.splitlines()[-2] == f"error: Kafka user 'join' may not Read {kind} {prefix}{suffix}"
    assert "Traceback" not in errors
