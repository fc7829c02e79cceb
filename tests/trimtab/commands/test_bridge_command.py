"""What the environment and the experiment file say to the bridge, and what it says of them."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from event_schemas.errors import ComponentUnreachable, SettingError, TrimtabError
from producers.bridge.bridge_run import NothingBridged
from producers.bridge.source_consumer import SourceUnreadable
from producers.topics.topic_admin import TopicError
from tests.components.company_topics import create_source
from tests.components.embedded_log import read_all
from tests.components.experiment_sample import BRIDGED_SOURCE, HOMEFEED
from tests.components.free_port import free_port
from tests.components.kafka_broker import KafkaBroker
from trimtab.commands import bridge
from trimtab.settings import load_settings

pytestmark = pytest.mark.usefixtures("signals_as_before")
APP = typer.Typer()
bridge.register(APP)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(APP, list(arguments))


@pytest.fixture
def point_at(experiment_file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Settings for an experiment file that has no `[[bridge]]` yet, and a broker that is not there."""
    monkeypatch.setenv("TRIMTAB_EXPERIMENT", str(experiment_file))
    monkeypatch.setenv("TRIMTAB_KAFKA_BOOTSTRAP", f"127.0.0.1:{free_port()}")
    return experiment_file


def map_topic(file: Path, topic: str, more: str = "") -> None:
    file.write_text(
        HOMEFEED + BRIDGED_SOURCE.format(topic=topic).replace("sampled", f"{more}\nsampled"), encoding="utf-8"
    )


def test_it_bridges_to_the_end_and_says_what_it_did(
    kafka: KafkaBroker, topics: object, point_at: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix, source = topics(), f"shop-{time.time_ns()}"  # type: ignore[operator]
    create_source(kafka.bootstrap, source, partitions=1)
    map_topic(point_at, source)
    monkeypatch.setenv("TRIMTAB_KAFKA_BOOTSTRAP", kafka.bootstrap)
    monkeypatch.setenv("TRIMTAB_TOPIC_PREFIX", prefix)
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": kafka.bootstrap})
    for key in (b"r-1", b"r-2", None):
        producer.produce(source, b"{}", key)
    assert producer.flush(10) == 0

    ended = run("--until-end", "--json", "--metrics-port", str(free_port()))
    assert ended.exit_code == 0, ended.output
    summary = json.loads(ended.stdout)
    counts = {"bridged": 2, "unsampled": 0, "ignored": 0, "dead_letter": 1}
    assert (summary["records"], summary["fates"]) == (3, counts)
    assert summary["committed"] == {source: {"0": {"next_offset": 3, **counts}}}
    assert {message.key() for message in read_all(kafka.bootstrap, f"{prefix}events")} == {b"r-1", b"r-2"}

    again = run("--until-end")
    assert again.stdout.strip() == "0 source records: 0 bridged, 0 unsampled, 0 ignored, 0 dead_letter"

    producer.produce(source, b"{", b"r-3")
    assert producer.flush(10) == 0
    bad = run("--until-end")
    assert (bad.exit_code, "1 dead_letter" in bad.stdout) == (1, True)
    assert isinstance(bad.exception, NothingBridged)

    map_topic(point_at, "nobody.writes")
    missing = run("--until-end")
    assert isinstance(missing.exception, SourceUnreadable)
    monkeypatch.setenv("TRIMTAB_TOPIC_PREFIX", "nobody.")
    assert isinstance(run("--until-end").exception, TopicError)


@pytest.mark.parametrize(
    ("topic", "more", "error", "message"),
    [
        ("trimtab.events", "", SettingError, "is one of Trimtab's own topics"),
        ("shop", 'format = "avro"', SettingError, "no registry or file gives its schemas"),
        ("shop", 'format = "avro"\nschema_file = "none.avsc"', TrimtabError, "none.avsc: cannot be read"),
        ("shop", "", ComponentUnreachable, "does not answer"),
    ],
)
def test_what_is_wrong_is_named(point_at: Path, topic: str, more: str, error: type[TrimtabError], message: str) -> None:
    map_topic(point_at, topic, more)
    ended = run("--until-end")
    assert isinstance(ended.exception, error)
    assert message in ended.exception.what


def test_there_must_be_something_to_bridge(point_at: Path) -> None:
    ended = run()
    assert isinstance(ended.exception, SettingError)
    assert "docs/guides/bridge.md" in ended.exception.fix


def test_since_is_a_time(point_at: Path) -> None:
    ended = run("--since", "yesterday")
    assert isinstance(ended.exception, SettingError)
    assert "--since 'yesterday' is not a time" in ended.exception.what


def test_the_group_carries_the_prefix(point_at: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    map_topic(point_at, "shop")
    monkeypatch.setenv("TRIMTAB_TOPIC_PREFIX", "mine.")
    settings = load_settings()
    found = bridge.consumer_of(settings, settings.load_experiment(), 7.0, 5)
    assert (found.group, found.topics, found.session_seconds, found.since) == ("mine.bridge", ("shop",), 7.0, 5)
