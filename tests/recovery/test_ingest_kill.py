"""The learner's ingest on a real Kafka: killed again and again, it neither loses nor doubles an example."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from event_schemas.codec import Codec
from event_schemas.experiment import Experiment
from event_schemas.registry import Registry
from learner.examples.example_source import KafkaExampleSource
from learner.examples.learner_errors import ExamplesLost
from learner.examples.segment_manifest import SegmentManifest
from learner.examples.segment_reading import read_segments
from tests.components.ingest_process import IngestOrder
from tests.components.kafka_broker import KafkaBroker
from tests.learner_samples import World, experiment_document

ROOT = Path(__file__).parents[2]
EXAMPLES = 3000
KILLS_AT_STEP = (1, 2, 3, 4)


@pytest.fixture
def topic(kafka: KafkaBroker, topics: Callable[..., str]) -> str:
    """A topic with examples, 100 of them written twice."""
    name = f"{topics(2)}examples"
    world = World(Experiment.model_validate(experiment_document()), Codec(Registry.bundled()))
    records = world.log(world.examples(EXAMPLES))
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    for record in [*records, *records[:100]]:
        producer.produce(name, record.value, record.key, record.partition)
    assert producer.flush(30) == 0
    return name


def ingest(kafka: KafkaBroker, topic: str, directory: Path, fatal_step: int) -> int:
    order = IngestOrder(kafka.bootstrap, topic, str(directory), experiment_document(), fatal_step)
    return subprocess.run(order.command(), cwd=ROOT, check=False, timeout=60).returncode


def test_every_example_once_after_kills_at_every_step(kafka: KafkaBroker, topic: str, tmp_path: Path) -> None:
    for step in KILLS_AT_STEP:
        assert ingest(kafka, topic, tmp_path, step) == -signal.SIGKILL
    assert ingest(kafka, topic, tmp_path, 0) == 0
    found = read_segments(tmp_path)["request_request_id"].to_list()
    assert sorted(found) == [f"r{i:06d}" for i in range(EXAMPLES)]
    manifest = SegmentManifest.load(tmp_path)
    assert manifest is not None
    assert sum(manifest.next_offsets.values()) == EXAMPLES + 100


def test_records_that_retention_took_are_an_error_and_never_skipped(kafka: KafkaBroker, topic: str) -> None:
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    [deletion] = admin.delete_records([TopicPartition(topic, 0, 50)]).values()
    deletion.result(timeout=10)
    source = KafkaExampleSource({"bootstrap.servers": kafka.bootstrap}, topic)
    with pytest.raises(ExamplesLost, match="the next offset is 10"):
        source.start({0: 10})
    source.start({})  # a first start begins where the log does
    deadline = time.monotonic() + 20
    records = source.poll(5000, 1.0)
    while len(records) < EXAMPLES + 50 and time.monotonic() < deadline:
        records += source.poll(5000, 1.0)
    assert min(record.offset for record in records if record.partition == 0) == 50
    source.close()
