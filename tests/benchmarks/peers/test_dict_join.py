"""The peer `python_join`, run as in the comparison, gives the reference's examples."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.bench_broker import BenchBroker
from benchmarks.join import Plan, measure
from benchmarks.peer_table import peer_table
from tests.components.kafka_broker import KafkaBroker

pytestmark = pytest.mark.join_benchmarks


def test_its_examples_are_those_of_the_reference(kafka: KafkaBroker, tmp_path: Path) -> None:
    plan = Plan((peer_table()["python_join"],), 310)
    (measurement,) = measure(plan, BenchBroker(kafka.bootstrap, kafka.pid, tmp_path))
    assert measurement.correct is True, measurement
    assert not measurement.note, measurement
