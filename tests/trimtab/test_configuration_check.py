"""Everything that is wrong is found, component by component."""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka import Producer

from event_schemas.codec import Codec
from event_schemas.errors import TrimtabError
from event_schemas.experiment import load_experiment
from event_schemas.registry import Registry
from tests.components.experiment_sample import BRIDGED_SOURCE, HOMEFEED
from tests.components.free_port import free_port
from tests.components.kafka_broker import KafkaBroker
from tests.components.schema_registry import SchemaRegistry
from tests.conftest import TopicFactory
from tests.policy_store.store_samples import LEARNER, TRUSTED_TEXT
from tests.producers.topics.test_topic_admin import make_foreign_topic
from trimtab.configuration_check import Check, check_configuration


@pytest.fixture(autouse=True)
def nothing_answers(experiment_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("producers.topics.topic_admin.ANSWER_SECONDS", 0.3)
    for name, value in {
        "EXPERIMENT": str(experiment_file),
        "KAFKA_BOOTSTRAP": f"127.0.0.1:{free_port()}",
        "REDIS_URL": f"redis://ada:xyzzy@127.0.0.1:{free_port()}/0",
    }.items():
        monkeypatch.setenv(f"TRIMTAB_{name}", value)
    return experiment_file


def checked(offline: bool = False) -> dict[str, Check]:
    return {check.subject: check for check in check_configuration(offline)}


def what(faults: tuple[TrimtabError, ...]) -> str:
    return " / ".join(fault.what for fault in faults)


def test_components_that_answer(
    kafka: KafkaBroker,
    topics: TopicFactory,
    redis_url: str,
    schema_registry: SchemaRegistry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {
        "KAFKA_BOOTSTRAP": kafka.bootstrap,
        "TOPIC_PREFIX": topics(2),
        "REDIS_URL": redis_url,
        "SIGNING_KEY": LEARNER.secret_text(),
        "TRUSTED_KEYS": TRUSTED_TEXT,
        "SCHEMA_REGISTRY_URL": schema_registry.url.replace("http://", "http://ada:xyzzy@"),
    }.items():
        monkeypatch.setenv(f"TRIMTAB_{name}", value)
    found = checked()
    assert {name: check.faults for name, check in found.items()} == dict.fromkeys(
        ("settings", "experiment", "keys", "Kafka", "Redis", "Schema Registry"), ()
    )
    assert found["keys"].found == "signs as learner/main; trusts governance/board, learner/main"
    assert found["Kafka"].found == f"{kafka.bootstrap}: 5 of 5 topics, 10 partitions"
    assert found["experiment"].found == "homefeed: 50 arms, objectives repin, click"
    assert "xyzzy" not in str(found)


def test_another_exploration_unit_is_named(
    kafka: KafkaBroker, topics: TopicFactory, nothing_answers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix, settings = topics(1), load_experiment(nothing_answers).exploration
    record = {"event_time": 1, "digest": settings.digest, "settings": settings.text}
    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    value = Codec(Registry.bundled()).encode("Exploration", record)
    producer.produce(f"{prefix}explorations", value, settings.digest.encode())
    assert producer.flush(30) == 0
    monkeypatch.setenv("TRIMTAB_KAFKA_BOOTSTRAP", kafka.bootstrap)
    monkeypatch.setenv("TRIMTAB_TOPIC_PREFIX", prefix)
    assert "exploration" not in checked()
    by_session = HOMEFEED.replace("log_rate", 'exploration_unit = "session"\nlog_rate')
    nothing_answers.write_text(by_session)
    assert "decisions were drawn by request" in what(checked()["exploration"].faults)


def test_what_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_SCHEMA_REGISTRY_URL", f"http://127.0.0.1:{free_port()}")
    found = checked()
    for subject in ("Kafka", "Redis", "Schema Registry"):
        assert "does not answer" in what(found[subject].faults)
    assert "xyzzy" not in str([check.as_dict() for check in found.values()])
    assert set(checked(offline=True)) == {"settings", "experiment", "keys"}


def test_schemas_that_cannot_be_read_are_named(
    schema_registry: SchemaRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIMTAB_SCHEMA_REGISTRY_URL", schema_registry.url)
    assert checked()["Schema Registry"].faults == ()
    foreign = {"type": "record", "name": "Heartbeat", "fields": []}
    schema_id = schema_registry.register("trimtab.Heartbeat", foreign)
    words = (
        f"trimtab.Heartbeat version 1 (id {schema_id}) is ignored, its records are malformed: event_time: is missing"
    )
    assert what(checked()["Schema Registry"].faults) == words
    assert schema_registry.client.get_subjects().count("trimtab.Request") == 0, "a check registers nothing"


def test_topics_that_are_missing_or_unlike_are_named_each(kafka: KafkaBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, partitions in (("check.events", 2), ("check.examples", 3)):
        make_foreign_topic({"bootstrap.servers": kafka.bootstrap}, name, partitions)
    monkeypatch.setenv("TRIMTAB_KAFKA_BOOTSTRAP", kafka.bootstrap)
    monkeypatch.setenv("TRIMTAB_TOPIC_PREFIX", "check.")
    faults = checked()["Kafka"].faults
    assert [fault.what.partition(" (")[0] for fault in faults] == [
        "topic check.dead-letters does not exist",
        "topic check.tallies does not exist",
        "topic check.explorations does not exist",
        "partition counts differ",
    ]


def test_every_fault_of_settings_and_experiment(nothing_answers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing_answers.write_text(HOMEFEED.replace("steps = 7", "steps = 1"))
    monkeypatch.setenv("TRIMTAB_FOO", "x")
    found = checked()
    assert [fault.what for fault in found["settings"].faults] == ["TRIMTAB_FOO is not a setting"]
    assert [fault.what.split(": ")[1] for fault in found["experiment"].faults] == [
        "weights[repin].steps = 1",
        "weights[click].steps = 1",
    ]
    assert "does not answer (greeting)" in what(found["Redis"].faults), "also without an experiment"
    monkeypatch.setenv("TRIMTAB_KILLED", "maybe")
    assert set(checked()) == {"settings", "experiment"}, "unusable settings reach nobody"


def test_bridges_and_keys_are_looked_at(nothing_answers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing_answers.write_text(HOMEFEED + BRIDGED_SOURCE.format(topic="trimtab.events"))
    monkeypatch.setenv("TRIMTAB_TRUSTED_KEYS", "governance/board")
    found = checked(offline=True)
    assert "one of Trimtab's own topics" in what(found["experiment"].faults)
    assert found["keys"].faults
