"""`trimtab serve` as a process: it answers without Kafka and Redis, and ends cleanly on a signal."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import typer
from typer.testing import CliRunner

from event_schemas.errors import SettingError
from producers.delivery.delivery_spool import DeliverySpool
from producers.delivery.outgoing_event import OutgoingEvent
from tests.components.embedded_log import embedded_broker, read_all
from tests.serving_samples import GOVERNANCE_KEY, LEARNER_KEY
from trimtab.commands import serve

ROOT = Path(__file__).parents[3]
COMMAND = "import typer; from trimtab.commands import serve; a = typer.Typer(); serve.register(a); a()"
EXPERIMENT = """
[experiment]
name = "homefeed"
salt = "pepper"
log_rate = 1.0
[[weights]]
name = "repin"
production = 91.6
low = 10
high = 200
steps = 3
[[objectives]]
name = "repin"
kinds = ["repin"]
attribution = "30m"
"""


def environment(folder: Path) -> dict[str, str]:
    (folder / "trimtab.toml").write_text(EXPERIMENT)
    return {
        "PYTHONPATH": str(ROOT),
        "TRIMTAB_EXPERIMENT": str(folder / "trimtab.toml"),
        "TRIMTAB_DATA_DIR": str(folder / "var"),
        # Port 1 of the loopback: nobody listens there.
        "TRIMTAB_KAFKA_BOOTSTRAP": "127.0.0.1:1",
        "TRIMTAB_REDIS_URL": "redis://127.0.0.1:1/0",
        "TRIMTAB_TRUSTED_KEYS": f"{LEARNER_KEY.public_text()},{GOVERNANCE_KEY.public_text()}",
    }


@contextmanager
def sidecar(folder: Path, *options: str, **variables: str) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "--port", "0", "--node-id", "n1", *options],
        env=environment(folder) | variables,
        cwd=folder,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process, httpx.Client(base_url=announced(process), timeout=10.0)
    finally:
        process.kill()
        process.wait(10.0)
        assert process.stderr is not None
        process.stderr.close()


def announced(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    told = []
    for line in process.stderr:
        told.append(line)
        found = re.search(r"serves on (http://\S+)", line)
        if found:
            return found.group(1)
    raise AssertionError("".join(told))


def test_answers_without_kafka_and_redis_and_spools_on_the_way_out(tmp_path: Path) -> None:
    with sidecar(tmp_path) as (process, http):
        answer = http.post("/v1/decisions", json={"request_id": "r1"})
        assert (answer.status_code, answer.json()["slice"]) == (200, "FALLBACK")
        assert http.post("/v1/decisions/r1/applied").status_code == 200
        assert http.post("/v1/engagements", json={"request_id": "r1", "kind": "repin"}).status_code == 202
        process.send_signal(signal.SIGTERM)
        assert process.wait(30.0) == 0
    spool = DeliverySpool(tmp_path / "var" / "serving" / "homefeed" / "n1" / "spool")
    # The settings of exploration, Request, Action, Propensity, Engagement and the last Tally.
    assert spool.waiting == 6
    spool.close()


def test_a_node_sends_what_a_node_of_another_name_left(tmp_path: Path) -> None:
    """A container that is made anew has another name and the same data directory."""
    left = DeliverySpool(tmp_path / "var" / "serving" / "homefeed" / "3f2a9c-8080" / "spool")
    for number in range(7):
        left.append(OutgoingEvent("trimtab.events", b"k", f"{number}".encode(), "Request"))
    left.close()
    with embedded_broker() as bootstrap:
        with sidecar(tmp_path, TRIMTAB_KAFKA_BOOTSTRAP=bootstrap) as (process, http):
            resent = 'trimtab_producer_events_total{fate="resent",record="Request"} 7.0'
            deadline = time.monotonic() + 60
            while resent not in (metrics := http.get("/metrics").text):
                assert time.monotonic() < deadline, metrics
                time.sleep(0.05)
            assert resent.replace("resent", "adopted") in metrics
            process.send_signal(signal.SIGTERM)
            assert process.wait(30.0) == 0
        sent = {message.value() for message in read_all(bootstrap, "trimtab.events")}
    assert sent == {f"{number}".encode() for number in range(7)}


def test_the_compose_file_gives_nodes_names_that_stay() -> None:
    services = (ROOT / "docker-compose.yml").read_text().split("\n  serving:\n")[1].split("\n\n")[0]
    name = re.search(r"hostname: (\S+)", services)
    assert name is not None
    assert f'"--node-id", "{name.group(1)}"' in services


def test_the_environment_kills_from_the_start(tmp_path: Path) -> None:
    with sidecar(tmp_path, "--killed") as (process, http):
        assert http.post("/v1/decisions", json={}).json()["fallback_reason"] == "killed"
        assert http.get("/healthz").json()["killed"]
        process.send_signal(signal.SIGINT)
        assert process.wait(30.0) == 0


def test_a_taken_port_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    app = typer.Typer()
    serve.register(app)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(app, ["--port", str(port)])
    assert isinstance(result.exception, SettingError)
    assert f"127.0.0.1:{port}" in result.exception.what
