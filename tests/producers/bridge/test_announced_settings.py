"""On a real broker: what nodes announce is known at the next look, whatever else is in the topic or happens to it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]
from structlog.testing import capture_logs

from event_schemas.codec import Codec
from event_schemas.errors import ComponentUnreachable, RightMissing
from event_schemas.exploration import ExplorationSettings
from event_schemas.registry import Registry
from event_schemas.units import DAY_MS
from producers.bridge.announced_settings import LOOK_SECONDS, NAMED_RECORDS, AnnouncedSettings
from producers.bridge.raised_log_rates import RaisedLogRates
from tests.components.free_port import free_port
from tests.components.kafka_broker import KafkaBroker
from tests.components.secured_broker import ADMIN, SecuredBroker
from tests.components.topic_again import create_again
from tests.serving_samples import serving_experiment

CODEC = Codec(Registry.bundled())
OWN = serving_experiment(experiment={"log_rate": 0.01}).exploration
WINDOW = DAY_MS


class Seconds:
    """The clock of the machine, and what a test adds to it."""

    added = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.added


class Looking(AnnouncedSettings):
    """Each look is a second after the one before."""

    def __init__(self, kafka: KafkaBroker, topic: str, raised: RaisedLogRates) -> None:
        self._added = Seconds()
        super().__init__({"bootstrap.servers": kafka.bootstrap}, topic, CODEC, raised, self._added)

    def catch_up(self) -> None:
        self._added.added += LOOK_SECONDS
        super().catch_up()


def record_of(settings: ExplorationSettings, announced: int = 0) -> bytes:
    record = {"event_time": announced, "digest": settings.digest, "settings": settings.text}
    return CODEC.encode("Exploration", record)


def raised_to(rate: float) -> bytes:
    return record_of(OWN.with_log_rate(rate))


def write(kafka: KafkaBroker, topic: str, *values: bytes | None) -> None:
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    for value in values:
        producer.produce(topic, value, b"key")
    assert producer.flush(30) == 0


@pytest.fixture
def topic(kafka: KafkaBroker) -> str:
    name = f"explorations-{time.time_ns()}"
    create_again(kafka.bootstrap, name, 2)
    return name


@contextmanager
def announced(kafka: KafkaBroker, topic: str) -> Iterator[tuple[AnnouncedSettings, RaisedLogRates]]:
    raised = RaisedLogRates(OWN, WINDOW)
    with closing(Looking(kafka, topic, raised)) as settings:
        yield settings, raised


def test_each_look_reads_to_the_end_and_a_restart_reads_it_again(kafka: KafkaBroker, topic: str) -> None:
    write(kafka, topic, record_of(OWN), raised_to(0.2))
    with announced(kafka, topic) as (settings, raised):
        settings.catch_up()
        assert raised.highest(None) == 0.2
        settings.catch_up()
        write(kafka, topic, raised_to(0.3), raised_to(0.25))
        settings.catch_up()
        assert raised.highest(None) == 0.3
    with announced(kafka, topic) as (settings, raised):
        settings.catch_up()
        now = time.time_ns() // 1_000_000
        assert [raised.highest(now), raised.highest(now + 2 * WINDOW)] == [0.3, 0.01], "its time is the broker's"


def test_it_looks_once_a_second_at_most(kafka: KafkaBroker, topic: str) -> None:
    raised, now = RaisedLogRates(OWN, WINDOW), [7.0]
    reader = AnnouncedSettings({"bootstrap.servers": kafka.bootstrap}, topic, CODEC, raised, lambda: now[0])
    with closing(reader):
        reader.catch_up()
        write(kafka, topic, raised_to(0.2))
        now[0] += 0.75 * LOOK_SECONDS
        reader.catch_up()
        assert raised.highest(None) == 0.01
        now[0] += 0.25 * LOOK_SECONDS
        reader.catch_up()
        assert raised.highest(None) == 0.2


def test_what_cannot_be_read_is_left_out_and_counted(kafka: KafkaBroker, topic: str) -> None:
    other = CODEC.encode("Heartbeat", {"event_time": 1})
    wrong = CODEC.encode("Exploration", {"event_time": 1, "digest": OWN.digest, "settings": "{}"})
    bad = [b"", b"{", b"\x00\x00\x00\x00\x63x", other, wrong] * NAMED_RECORDS
    write(kafka, topic, *bad, None, raised_to(0.2))
    with announced(kafka, topic) as (settings, raised), capture_logs() as lines:
        settings.catch_up()
        assert (raised.highest(None), settings.left_out) == (0.2, len(bad))
        named = [line for line in lines if line["event"] == "announced settings left out"]
        assert len(named) == NAMED_RECORDS


def test_an_absent_topic_is_told_of_once_and_found_when_it_is_there(kafka: KafkaBroker) -> None:
    name = f"explorations-{time.time_ns()}"
    with announced(kafka, name) as (settings, raised), capture_logs() as lines:
        settings.catch_up()
        settings.catch_up()
        assert raised.highest(None) == 0.01
        assert [line["event"] for line in lines] == ["log rates that nodes raise are not known"]
        create_again(kafka.bootstrap, name, 2)
        write(kafka, name, raised_to(0.2))
        settings.catch_up()
        assert raised.highest(None) == 0.2


def test_a_topic_that_was_created_again_is_read_from_its_start(kafka: KafkaBroker, topic: str) -> None:
    write(kafka, topic, *[raised_to(0.2)] * 10)
    with announced(kafka, topic) as (settings, raised):
        settings.catch_up()
        create_again(kafka.bootstrap, topic, 2)
        write(kafka, topic, raised_to(0.3))
        settings.catch_up()
        assert raised.highest(None) == 0.3


def test_the_end_is_found_where_its_record_was_taken_away(kafka: KafkaBroker, topic: str) -> None:
    """A transaction ends with a mark, which has an offset and no record, as what compaction removes."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "transactional.id": topic})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topic, raised_to(0.2), b"key")
    producer.commit_transaction(30)
    with announced(kafka, topic) as (settings, raised):
        deadline = time.monotonic() + 30
        while raised.highest(None) != 0.2:  # the broker writes the mark, before which nobody sees the record, later
            assert time.monotonic() < deadline
            settings.catch_up()
        settings.catch_up()


def test_a_broker_that_is_not_there_is_named() -> None:
    nowhere = {"bootstrap.servers": f"127.0.0.1:{free_port()}"}
    with (
        closing(
            AnnouncedSettings(nowhere, "explorations", CODEC, RaisedLogRates(OWN, WINDOW), answer_seconds=0.5)
        ) as settings,
        pytest.raises(ComponentUnreachable, match="does not answer"),
    ):
        settings.catch_up()


def test_a_missing_right_is_named(secured_kafka: SecuredBroker) -> None:
    name = f"explorations-{time.time_ns()}"
    admin = AdminClient(dict(secured_kafka.client_config(ADMIN)))
    admin.create_topics([NewTopic(name, 1, 1)])[name].result()
    raised = RaisedLogRates(OWN, WINDOW)
    with (
        closing(AnnouncedSettings(secured_kafka.client_config("nobody"), name, CODEC, raised)) as settings,
        pytest.raises(RightMissing, match=f"'nobody' may not Read topic {name}"),
    ):
        settings.catch_up()
