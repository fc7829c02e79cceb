"""A peer that fails says why, and its figures do not count as right."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.bench_broker import BenchBroker
from benchmarks.event_stream import StreamSettings
from benchmarks.input_log import InputLog
from benchmarks.peer_run import PeerRun, RunSettings
from benchmarks.peer_table import Peer, peer_table
from tests.components.kafka_broker import KafkaBroker

BROKEN = Peer("broken", (sys.executable, "-c", "import sys; sys.exit('no such thing')"))
IDLE = Peer("idle", (sys.executable, "-c", "import time; time.sleep(60)"))


@pytest.fixture(scope="module")
def log(kafka: KafkaBroker, tmp_path_factory: pytest.TempPathFactory) -> InputLog:
    broker = BenchBroker(kafka.bootstrap, kafka.pid, tmp_path_factory.mktemp("input"))
    return broker.write("peer-run.", StreamSettings(100))


def test_a_peer_that_ends_leaves_its_last_words(log: InputLog, tmp_path: Path) -> None:
    measurement = PeerRun(BROKEN, log, RunSettings(tmp_path, 60.0, None)).measure()
    assert "ended with code 1: no such thing" in measurement.note
    assert (measurement.correct, measurement.examples) == (False, 0)
    assert measurement.broker_cpu_s_per_million is None


def test_a_peer_that_does_nothing_is_given_up(log: InputLog, tmp_path: Path) -> None:
    measurement = PeerRun(IDLE, log, RunSettings(tmp_path, 1.0, None)).measure()
    assert "not done after 1 s" in measurement.note
    assert measurement.correct is False


def test_faust_tables_give_the_right_examples(log: InputLog, tmp_path: Path) -> None:
    measurement = PeerRun(peer_table()["faust"], log, RunSettings(tmp_path, 120.0, None)).measure()
    assert measurement.correct is True, measurement
    assert not list(tmp_path.glob("faust-*/start"))
