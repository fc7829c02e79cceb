"""The bounds, run as in the comparison, read every event and give no examples."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.bench_broker import BenchBroker
from benchmarks.join import Plan, measure
from benchmarks.peer_table import peer_table
from tests.components.kafka_broker import KafkaBroker

pytestmark = pytest.mark.join_benchmarks


@pytest.mark.parametrize(("name", "requests"), [("raw_consume", 330), ("decode_only", 340)])
def test_every_event_is_read(kafka: KafkaBroker, tmp_path: Path, name: str, requests: int) -> None:
    plan = Plan((peer_table()[name],), requests)
    (measurement,) = measure(plan, BenchBroker(kafka.bootstrap, kafka.pid, tmp_path))
    assert measurement.correct is None, measurement
    assert measurement.events > 3 * requests
    assert measurement.seconds > 0
    assert not measurement.note, measurement
