"""Everything that is wrong is found, component by component."""

from __future__ import annotations

from pathlib import Path

import pytest

from event_schemas.errors import TrimtabError
from tests.components.experiment_sample import BRIDGED_SOURCE, HOMEFEED
from tests.components.free_port import free_port
from tests.components.kafka_broker import KafkaBroker
from tests.components.schema_registry import RegisteredSchemas, schema_registry
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
    kafka: KafkaBroker, topics: TopicFactory, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "KAFKA_BOOTSTRAP": kafka.bootstrap,
        "TOPIC_PREFIX": topics(2),
        "REDIS_URL": redis_url,
        "SIGNING_KEY": LEARNER.secret_text(),
        "TRUSTED_KEYS": TRUSTED_TEXT,
    }.items():
        monkeypatch.setenv(f"TRIMTAB_{name}", value)
    with schema_registry(RegisteredSchemas()) as url:
        monkeypatch.setenv("TRIMTAB_SCHEMA_REGISTRY_URL", url.replace("http://", "http://ada:xyzzy@"))
        found = checked()
    assert {name: check.faults for name, check in found.items()} == dict.fromkeys(
        ("settings", "experiment", "keys", "Kafka", "Redis", "Schema Registry"), ()
    )
    assert found["keys"].found == "signs as learner/main; trusts governance/board, learner/main"
    assert found["Kafka"].found == f"{kafka.bootstrap}: 4 of 4 topics, 8 partitions"
    assert found["experiment"].found == "homefeed: 50 arms, objectives repin, click"
    assert "xyzzy" not in str(found)


def test_what_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_SCHEMA_REGISTRY_URL", f"http://127.0.0.1:{free_port()}")
    found = checked()
    for subject in ("Kafka", "Redis", "Schema Registry"):
        assert "does not answer" in what(found[subject].faults)
    assert "xyzzy" not in str([check.as_dict() for check in found.values()])
    assert set(checked(offline=True)) == {"settings", "experiment", "keys"}


def test_topics_that_are_missing_or_unlike_are_named_each(kafka: KafkaBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, partitions in (("check.events", 2), ("check.examples", 3)):
        make_foreign_topic({"bootstrap.servers": kafka.bootstrap}, name, partitions)
    monkeypatch.setenv("TRIMTAB_KAFKA_BOOTSTRAP", kafka.bootstrap)
    monkeypatch.setenv("TRIMTAB_TOPIC_PREFIX", "check.")
    faults = checked()["Kafka"].faults
    assert [fault.what.partition(" (")[0] for fault in faults] == [
        "topic check.dead-letters does not exist",
        "topic check.tallies does not exist",
        "partition counts differ",
    ]


def test_every_fault_of_settings_and_experiment(nothing_answers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing_answers.write_text(HOMEFEED.replace("steps = 7", "steps = 1"))
    monkeypatch.setenv("TRIMTAB_FOO", "x")
    found = checked()
    assert [fault.what for fault in found["settings"].faults] == ["TRIMTAB_FOO is not a setting"]
    assert [fault.what.split(": ")[1] for fault in found["experiment"].faults] == [
        "weights.0.steps = 1",
        "weights.1.steps = 1",
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
