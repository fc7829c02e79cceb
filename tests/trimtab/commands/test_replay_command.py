"""`trimtab replay` of the real log, on a real broker and on the embedded one."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import typer
from typer.testing import CliRunner, Result

from event_schemas.codec import Codec
from event_schemas.errors import SettingError, TrimtabError
from event_schemas.registry import Registry
from producers.replay.log_times import LogFileError
from producers.replay.replay_pacing import ReplayStalled
from producers.replay.replay_run import NothingReplayed
from producers.topics.topic_admin import TopicError
from tests.components.embedded_log import read_all
from tests.components.kafka_broker import KafkaBroker
from trimtab import join_pace
from trimtab.commands import replay

APP = typer.Typer()
replay.register(APP)
DATA = Path(__file__).parents[3] / "datasets" / "open_bandit"
MAPPING = str(DATA / "mapping.toml")
CODEC = Codec(Registry.bundled())


def run(*arguments: str) -> Result:
    return CliRunner().invoke(APP, list(arguments))


@pytest.fixture
def prefix(kafka: KafkaBroker, topics: Callable[[int], str], monkeypatch: pytest.MonkeyPatch) -> str:
    """Fresh topics on the real broker, and the settings that point there."""
    made = topics(4)
    monkeypatch.setenv("TRIMTAB_KAFKA_BOOTSTRAP", kafka.bootstrap)
    monkeypatch.setenv("TRIMTAB_TOPIC_PREFIX", made)
    monkeypatch.setenv("TRIMTAB_EXPERIMENT", str(DATA / "experiments" / "men.toml"))
    return made


def decoded(kafka: KafkaBroker, topic: str) -> list[Any]:
    return [CODEC.decode(message.value()) for message in read_all(kafka.bootstrap, topic)]


def test_the_open_bandit_log_becomes_events(kafka: KafkaBroker, prefix: str) -> None:
    ended = run(str(DATA / "random_men.parquet"), "--mapping", MAPPING, "--limit", "500", "--max-lag", "0", "--json")
    assert ended.exit_code == 0, ended.output
    summary = json.loads(ended.stdout)
    assert (summary["decisions"], summary["rows"], summary["bad_rows"]) == (500, 500, 0)
    assert summary["handed_in"] == summary["acknowledged"]
    entries = decoded(kafka, f"{prefix}events")
    assert Counter(entry.name for entry in entries) == summary["events"]
    by_name = {entry.name: entry.record for entry in entries}
    assert by_name["Propensity"]["propensity"] == 1 / 34
    assert by_name["Action"]["policy_version"] == "open-bandit-random_men"
    first = min(entry.record["event_time"] for entry in entries)
    assert first == summary["first_event_time"] == 1_574_553_793_442


def test_odd_rows_become_dead_letters(kafka: KafkaBroker, prefix: str, tmp_path: Path) -> None:
    frame = pl.read_parquet(DATA / "random_men.parquet").head(40)
    spoiled = frame.with_columns(
        propensity_score=pl.when(pl.col("row_index") == 3).then(0.0).otherwise("propensity_score"),
        item_id=pl.when(pl.col("row_index") == 5).then(99).otherwise("item_id"),
    )
    log = tmp_path / "random_men.parquet"
    spoiled.write_parquet(log)
    ended = run(str(log), "--mapping", MAPPING, "--max-lag", "0")
    assert ended.exit_code == 0, ended.output
    assert "38 decisions and 2 bad rows in 40 rows" in ended.stdout
    details = sorted(entry.record["detail"] for entry in decoded(kafka, f"{prefix}dead-letters"))
    assert "propensity_score = 0.0 is not in (0, 1]" in details[0]
    assert "item_id = 99 is an unknown arm" in details[1]


def test_a_log_of_which_no_row_is_a_decision_fails_after_its_summary(
    kafka: KafkaBroker, prefix: str, tmp_path: Path
) -> None:
    log = tmp_path / "random_men.parquet"
    pl.read_parquet(DATA / "random_men.parquet").head(3).with_columns(propensity_score=pl.lit(7.0)).write_parquet(log)
    ended = run(str(log), "--mapping", MAPPING, "--max-lag", "0", "--json")
    assert (ended.exit_code, json.loads(ended.stdout)["bad_rows"]) == (1, 3)
    assert isinstance(ended.exception, NothingReplayed)
    assert "none of the 3 rows is a decision; row 0 of random_men: propensity_score = 7.0" in ended.exception.what
    assert len(decoded(kafka, f"{prefix}dead-letters")) == 3


def test_heartbeats_alone_close_a_log(kafka: KafkaBroker, prefix: str) -> None:
    ended = run("--heartbeat-at", "2019-12-01T00:00:00Z", "--json")
    assert json.loads(ended.stdout) == {"heartbeats": 4, "event_time": 1_575_158_400_000}
    messages = read_all(kafka.bootstrap, f"{prefix}events")
    assert [message.partition() for message in messages] == [0, 1, 2, 3]
    assert {CODEC.decode(m.value()).record["event_time"] for m in messages} == {1_575_158_400_000}


def test_a_join_that_does_not_run_is_noticed(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(join_pace, "STALL_SECONDS", 0.3)
    ended = run(str(DATA / "random_men.parquet"), "--mapping", MAPPING, "--max-lag", "2000")
    assert isinstance(ended.exception, ReplayStalled)
    assert "trimtab join" in ended.exception.fix


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ([], SettingError, "either FILE with --mapping, or --heartbeat-at"),
        (["x.parquet"], SettingError, "either FILE with --mapping"),
        (["x.parquet", "--mapping", MAPPING, "--heartbeat-at", "2019-12-01"], SettingError, "either FILE"),
        (["--heartbeat-at", "soon"], SettingError, "'soon' is not a time"),
        (["x.parquet", "--mapping", MAPPING], LogFileError, "x.parquet: cannot be read"),
        (["x.parquet", "--mapping", "nothing.toml"], TrimtabError, "nothing.toml: cannot be read"),
        ([str(DATA / "item_context_men.parquet"), "--mapping", MAPPING], LogFileError, "is missing"),
    ],
)
def test_errors_come_before_the_broker_is_asked(
    arguments: list[str], error: type[TrimtabError], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIMTAB_EXPERIMENT", str(DATA / "experiments" / "men.toml"))
    monkeypatch.setenv("TRIMTAB_KAFKA_BOOTSTRAP", "127.0.0.1:9")
    ended = run(*arguments)
    assert ended.exit_code == 1
    assert isinstance(ended.exception, error)
    assert message in ended.exception.what


def test_topics_must_exist(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_TOPIC_PREFIX", "nobody.")
    ended = run(str(DATA / "random_men.parquet"), "--mapping", MAPPING, "--limit", "1")
    assert isinstance(ended.exception, TopicError)
    assert "trimtab topics create" in ended.exception.fix


def test_the_arms_are_those_of_the_experiment(prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The women's log has items the men's experiment does not know: dead letters, not wrong arms."""
    log = tmp_path / "random_women.parquet"
    shutil.copy(DATA / "random_women.parquet", log)
    ended = run(str(log), "--mapping", MAPPING, "--limit", "200", "--max-lag", "0", "--json")
    summary = json.loads(ended.stdout)
    assert 0 < summary["bad_rows"] < 200
    assert summary["decisions"] + summary["bad_rows"] == 200
