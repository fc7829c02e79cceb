"""The input on a real broker: written once, as good as new after a run, gone at the end."""

from __future__ import annotations

from pathlib import Path

from confluent_kafka.admin import AdminClient

from benchmarks.bench_broker import BenchBroker
from benchmarks.event_stream import StreamSettings
from benchmarks.input_log import EventProducer, delete_input, delete_topics_of, forget_outputs
from stream_processors.audit.log_reader import LogReader
from tests.components.kafka_broker import KafkaBroker


def topics(kafka: KafkaBroker) -> set[str]:
    return set(AdminClient({"bootstrap.servers": kafka.bootstrap}).list_topics(timeout=10).topics)


def test_an_input_lives_through_a_run_and_is_deleted(kafka: KafkaBroker, tmp_path: Path) -> None:
    log = BenchBroker(kafka.bootstrap, kafka.pid, tmp_path).write("input-test.", StreamSettings(100))
    assert log.part_bytes / log.requests > 800
    before = list(LogReader(log.client_config, log.events_topic).read_all())
    assert len(before) == log.events
    assert {record.partition for record in before if record.key is None} == {0, 1, 2, 3}
    output = EventProducer(log.bootstrap, log.examples_topic)
    output.send(b"r", b"left over")
    output.flush()
    forget_outputs(log)
    assert list(LogReader(log.client_config, log.examples_topic).read_all()) == []
    assert len(list(LogReader(log.client_config, log.events_topic).read_all())) == log.events
    delete_input(log)
    assert not any(name.startswith("input-test.") for name in topics(kafka))


def test_a_run_takes_all_topics_with_its_name_along(kafka: KafkaBroker, tmp_path: Path) -> None:
    log = BenchBroker(kafka.bootstrap, kafka.pid, tmp_path).write("doomed-run.", StreamSettings(1))
    delete_topics_of(log.bootstrap, "doomed-run")
    assert not any("doomed-run" in name for name in topics(kafka))
