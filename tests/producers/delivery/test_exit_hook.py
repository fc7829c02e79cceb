"""A script that ends without closing anything: every event is acknowledged, spooled or counted as dropped."""

from __future__ import annotations

import json
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from producers.delivery.delivery_ledger import DeliveryCounts
from producers.delivery.spool_directory import SpoolDirectory
from tests.components.embedded_log import embedded_broker
from tests.components.ending_scripts import Ending, EndingScript, command
from tests.components.forking import ROOT
from tests.components.free_port import free_port
from tests.components.kafka_broker import KafkaBroker

UP, DOWN, FROZEN = "up", "down", "frozen"
ENDINGS: tuple[Ending, ...] = ("end", "exit", "exception", "worker")


@pytest.fixture(scope="module")
def brokers() -> Iterator[dict[str, str]]:
    """A broker that answers, one that does not exist, and one that accepts connections but never answers."""
    with embedded_broker() as bootstrap, socket.create_server(("127.0.0.1", 0)) as silent:
        yield {
            UP: bootstrap,
            DOWN: f"127.0.0.1:{free_port()}",
            FROZEN: f"127.0.0.1:{silent.getsockname()[1]}",
        }


def run(folder: Path, scripts: list[EndingScript]) -> tuple[list[DeliveryCounts], str]:
    """The final counts of each script, and its output."""
    done = subprocess.run(command(folder, scripts), cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    reports = [folder / f"{number}.json" for number in range(len(scripts))]
    return [DeliveryCounts(**json.loads(report.read_text())) for report in reports], done.stdout


scripts = st.builds(
    EndingScript,
    bootstrap=st.sampled_from([UP, DOWN, FROZEN]),
    engagements=st.integers(0, 3_000),
    max_bytes=st.none() | st.integers(0, 400_000),
    max_queued=st.integers(1, 4_000),
    ending=st.sampled_from(ENDINGS),
    used_before=st.booleans(),
)


@settings(max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(drawn=st.lists(scripts, min_size=1, max_size=12))
def test_every_event_has_its_fate(brokers: dict[str, str], drawn: list[EndingScript]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        counts, _ = run(folder, [_at(script, brokers[script.bootstrap]) for script in drawn])
        for number, (script, counted) in enumerate(zip(drawn, counts, strict=True)):
            assert counted.handed_in == script.engagements, script
            assert counted.in_flight == 0, script
            assert counted.spooled - counted.resent <= _waiting(folder / f"{number}" / "spool"), script
            assert script.bootstrap == UP or counted.acknowledged == 0, script


def _at(script: EndingScript, bootstrap: str) -> EndingScript:
    return EndingScript(**{**script.__dict__, "bootstrap": bootstrap})


def _waiting(spool: Path) -> int:
    """Events in the spools of a script and of its parent."""
    waiting = 0
    for directory in (spool, *spool.glob("forked/*")):
        if directory.exists():
            files = SpoolDirectory(directory, 1_000_000)
            waiting += files.waiting
            files.close()
    return waiting


def test_the_five_thousand_engagements_of_a_short_script_arrive(
    kafka: KafkaBroker, topics: Callable[[int], str], tmp_path: Path
) -> None:
    """The queue still holds most of them when the script's last line has run."""
    topic = f"{topics(2)}events"
    counts, output = run(
        tmp_path, [EndingScript(kafka.bootstrap, 5_000, None, 20_000, ending, topic=topic) for ending in ENDINGS]
    )
    assert counts == [DeliveryCounts(handed_in=5_000, acknowledged=5_000)] * len(ENDINGS)
    assert output.count("the process ends with events in flight") == len(ENDINGS)
    with closing(Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "count"})) as consumer:
        ends = [consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=10) for number in range(2)]
    assert sum(high for _, high in ends) == 5_000 * len(ENDINGS)
