"""A killed join, started again, ends with the right examples."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.bench_broker import BenchBroker
from benchmarks.event_stream import StreamSettings
from benchmarks.join_catch_up import measure
from tests.components.kafka_broker import KafkaBroker

pytestmark = pytest.mark.join_benchmarks


def test_the_output_is_right_after_a_kill(kafka: KafkaBroker, tmp_path: Path) -> None:
    broker = BenchBroker(kafka.bootstrap, kafka.pid, tmp_path)
    log = broker.write("crash-test.", StreamSettings(3_000, requests_per_s=1.0))
    result = measure(log, broker)
    assert result["correct"] is True
    assert 0 <= result["settled_at_kill"] <= log.events
