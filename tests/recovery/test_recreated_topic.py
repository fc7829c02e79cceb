"""A topic deleted and created again on a real Kafka: its offsets are refused, whatever it holds now, and nothing is
passed over."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from confluent_kafka import Producer

from event_schemas.codec import Codec
from event_schemas.experiment import Experiment
from event_schemas.registry import Registry
from learner.examples.example_decoder import ExampleDecoder
from learner.examples.example_source import KafkaExampleSource
from learner.examples.ingest import DeadLetters, Ingest
from learner.examples.learner_errors import ExamplesLost
from learner.examples.segment_reading import read_segments
from learner.examples.segment_store import SegmentStore
from producers.delivery.memory_log import MemoryLog
from producers.topics.topic_identity import TopicMissing
from tests.components.kafka_broker import KafkaBroker
from tests.components.topic_again import create_again
from tests.learner_samples import World, experiment_document

FOREVER = 10**15
HELD = 60
WORLD = World(Experiment.model_validate(experiment_document()), Codec(Registry.bundled()))


@pytest.fixture
def topic() -> str:
    return f"again-{time.time_ns()}.examples"


def fill(kafka: KafkaBroker, topic: str, examples: int, first: int) -> None:
    """Creates the topic, again if it is there, with so many examples."""
    create_again(kafka.bootstrap, topic, partitions=2)
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    for record in WORLD.log(WORLD.examples(examples, first=first)):
        producer.produce(topic, record.value, record.key, record.partition)
    assert producer.flush(30) == 0


def ingest(kafka: KafkaBroker, topic: str, directory: Path, *, reread: bool = False) -> set[str]:
    """One life of the learner's ingest; the ids stored at its end."""
    source = KafkaExampleSource({"bootstrap.servers": kafka.bootstrap}, topic)
    try:
        with SegmentStore(directory, topic, FOREVER, reread=reread) as store:
            letters = DeadLetters(WORLD.codec, MemoryLog(), "dead-letters")
            job = Ingest(source, ExampleDecoder(WORLD.codec, WORLD.experiment.action_space), store, letters)
            job.start()
            for _ in job.to_end():
                pass
            return set(read_segments(directory)["request_request_id"]) if store.rows else set()
    finally:
        source.close()


def ids(first: int, count: int) -> set[str]:
    return {f"r{number:06d}" for number in range(first, first + count)}


@pytest.mark.parametrize("records", [HELD // 2, HELD, 3 * HELD])
def test_offsets_of_the_old_topic_are_refused_until_it_is_read_again(
    kafka: KafkaBroker, topic: str, tmp_path: Path, records: int
) -> None:
    fill(kafka, topic, HELD, first=0)
    assert ingest(kafka, topic, tmp_path) == ids(0, HELD)
    fill(kafka, topic, records, first=1000)
    with pytest.raises(ExamplesLost, match="was deleted and created again") as refused:
        ingest(kafka, topic, tmp_path)
    assert "--reread" in refused.value.fix
    assert ingest(kafka, topic, tmp_path, reread=True) == ids(0, HELD) | ids(1000, records)


def test_a_missing_topic_is_an_error_of_its_own(kafka: KafkaBroker, topic: str, tmp_path: Path) -> None:
    with pytest.raises(TopicMissing, match=topic):
        ingest(kafka, topic, tmp_path)


def test_a_topic_created_again_while_it_is_followed_is_noticed(kafka: KafkaBroker, topic: str, tmp_path: Path) -> None:
    fill(kafka, topic, HELD, first=0)
    source = KafkaExampleSource({"bootstrap.servers": kafka.bootstrap}, topic)
    letters = DeadLetters(WORLD.codec, MemoryLog(), "dead-letters")
    with SegmentStore(tmp_path, topic, FOREVER) as store:
        job = Ingest(source, ExampleDecoder(WORLD.codec, WORLD.experiment.action_space), store, letters)
        job.start()
        for _ in job.to_end():
            pass
        fill(kafka, topic, 3 * HELD, first=1000)
        deadline = time.monotonic() + 60
        with pytest.raises(ExamplesLost):
            while time.monotonic() < deadline:
                job.round(0.5)
        assert set(read_segments(tmp_path)["request_request_id"]) == ids(0, HELD)
    source.close()
