"""`trimtab status` on a real broker and a real Redis, and without them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from event_schemas.section_digests import section_digests
from learner.checkpoints.checkpoint import Checkpoint, CheckpointShelf
from tests.components.free_port import free_port
from tests.components.kafka_broker import KafkaBroker
from tests.conftest import TopicFactory
from tests.policy_store.store_samples import BLOBS, manifest
from tests.trimtab.store_commands import StoreCommands
from trimtab.commands import status

VERSION = "20240501T120000000Z-0a1b2c3d"


@pytest.fixture
def cli(redis_url: str, tmp_path: Path) -> StoreCommands:
    return StoreCommands(redis_url, tmp_path)


def run(cli: StoreCommands, *options: str, **more: str) -> Result:
    app = typer.Typer()
    app.callback()(lambda: None)
    status.register(app)
    environment = {**cli.environment(), "TRIMTAB_DATA_DIR": str(cli.directory / "var"), "COLUMNS": "80", **more}
    return CliRunner().invoke(app, ["status", *options], env=environment)


def test_one_screen_and_the_same_as_json(cli: StoreCommands, kafka: KafkaBroker, topics: TopicFactory) -> None:
    log = {"TRIMTAB_KAFKA_BOOTSTRAP": kafka.bootstrap, "TRIMTAB_TOPIC_PREFIX": topics(2)}
    cli.put(VERSION)
    cli.run("policy", "promote", "latest", "--to", "stable", "--by", "ada")
    shown = run(cli, **log)
    assert shown.exit_code == 0, shown.output
    lines = shown.stdout.splitlines()
    assert f"stable      {VERSION}  valid, by ada" in lines
    assert "join        all 0 events done; 0 workers" in lines
    assert lines[-2:] == [
        "next        trimtab serve",
        "            the log is empty: serve traffic, or replay a log you have",
    ]
    told = json.loads(run(cli, "--json", **log).stdout)
    assert told["experiment"] == cli.name
    assert told["log"]["lag_by_partition"] == {"0": 0, "1": 0}
    assert told["store"]["channels"][0]["version"] == told["learned"]["version"] == VERSION
    assert told["next_action"]["command"] == "trimtab serve"
    digests = section_digests(cli.experiment)
    cli.store().heartbeat("n1", {"section_digests": digests | {"gate": "another"}}, 60)
    cli.store().heartbeat("n2", {"section_digests": digests}, 60)
    shown = run(cli, **log)
    assert (shown.exit_code, shown.exception.__class__) == (1, SystemExit)
    assert "file        node n1 has another [gate] in its experiment file" in shown.stdout.splitlines()
    told = json.loads(run(cli, "--json", **log).stdout)
    assert told["differing_files"] == [{"process": "node", "name": "n1", "sections": ["gate"]}]
    assert told["next_action"]["case"] == "files_differ"


def test_missing_topics_are_what_to_do_next(cli: StoreCommands, kafka: KafkaBroker) -> None:
    shown = run(cli, "--json", TRIMTAB_KAFKA_BOOTSTRAP=kafka.bootstrap, TRIMTAB_TOPIC_PREFIX="nowhere.")
    assert shown.exit_code == 1
    assert json.loads(shown.stdout)["next_action"]["command"] == "trimtab topics create"


def test_what_does_not_answer_hides_nothing_else(cli: StoreCommands, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("producers.topics.topic_admin.ANSWER_SECONDS", 0.3)
    shelf = CheckpointShelf(cli.directory / "var" / "learner" / cli.name / "checkpoints")
    shelf.save(Checkpoint(manifest(cli.name, VERSION), BLOBS, b""))
    no_kafka = {"TRIMTAB_KAFKA_BOOTSTRAP": f"127.0.0.1:{free_port()}"}
    shown = run(cli, **no_kafka)
    assert shown.exit_code == 1
    assert "fault       log: Kafka at 127.0.0.1" in shown.stdout
    assert f"learned     {VERSION}  pass, on this machine only" in shown.stdout
    assert "kills       none" in shown.stdout
    nothing = run(cli, "--json", **no_kafka, TRIMTAB_REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")
    told = json.loads(nothing.stdout)
    assert (nothing.exit_code, set(told["faults"])) == (1, {"policy store", "log"})
    assert (told["store"], told["log"], told["learned"]["version"]) == (None, None, VERSION)
    assert "start Redis" in told["next_action"]["why"]
