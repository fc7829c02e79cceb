"""`trimtab topics create` on a real broker."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from event_schemas.errors import ComponentUnreachable, ExperimentError
from event_schemas.topics import TOPICS
from tests.components.free_port import free_port
from tests.components.kafka_broker import KafkaBroker
from trimtab.commands import topics

APP = typer.Typer()
topics.register(APP)


def test_topics_are_created_once(kafka: KafkaBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_KAFKA_BOOTSTRAP", kafka.bootstrap)
    monkeypatch.setenv("TRIMTAB_TOPIC_PREFIX", "command.")
    first = CliRunner().invoke(APP, ["topics", "create", "--partitions", "2", "--replication", "1", "--json"])
    assert first.exit_code == 0, first.output
    made = [json.loads(line) for line in first.stdout.splitlines()]
    assert [row["topic"] for row in made] == [f"command.{topic.name}" for topic in TOPICS]
    assert all(row == row | {"created": True, "partitions": 2, "differing": {}} for row in made)
    second = CliRunner().invoke(APP, ["topics", "create", "--partitions", "2"])
    assert second.stdout.splitlines() == [f"command.{topic.name}: exists, 2 partitions" for topic in TOPICS]


def test_without_a_broker_the_error_names_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("producers.topics.topic_admin.ANSWER_SECONDS", 0.3)
    monkeypatch.setenv("TRIMTAB_KAFKA_BOOTSTRAP", f"127.0.0.1:{free_port()}")
    ended = CliRunner().invoke(APP, ["topics", "create"])
    assert isinstance(ended.exception, ComponentUnreachable)
    assert "TRIMTAB_KAFKA_BOOTSTRAP" in ended.exception.fix


def test_no_topics_are_created_for_a_broken_experiment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "trimtab.toml").write_text("[experiment]\nname = 7\n", encoding="utf-8")
    monkeypatch.setenv("TRIMTAB_EXPERIMENT", str(tmp_path / "trimtab.toml"))
    monkeypatch.setenv("TRIMTAB_KAFKA_BOOTSTRAP", f"127.0.0.1:{free_port()}")
    assert isinstance(CliRunner().invoke(APP, ["topics", "create"]).exception, ExperimentError)
