"""`trimtab simulate` against the embedded broker, with a small join's commits in place of a worker."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from event_schemas.errors import SettingError
from event_schemas.topics import EVENTS, topic_name
from producers.topics.topic_admin import touch_topics
from stream_processors.audit.log_reader import LogReader
from tests.simulator_samples import HOMEFEED
from trimtab.commands import simulate
from trimtab.embedded_runtime import embedded_runtime
from trimtab.settings import load_settings

PREFIX = "trimtab.test."


def app() -> typer.Typer:
    built = typer.Typer()
    simulate.register(built)
    return built


def test_a_simulation_lands_in_the_log_and_reports_what_was_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with embedded_runtime(tmp_path / "runtime") as runtime:
        for name, value in {**runtime.environment(), "TRIMTAB_TOPIC_PREFIX": PREFIX}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("TRIMTAB_EXPERIMENT", str(HOMEFEED))
        client = {"bootstrap.servers": runtime.kafka_bootstrap}
        touch_topics(client, PREFIX)
        arguments = ["--requests", "60", "--days", "1", "--ending", "2024-05-01T00:00Z", "--exploration-rate", "1"]
        result = CliRunner().invoke(app(), [*arguments, "--json"], catch_exceptions=False)
        report = json.loads(result.stdout)
        records = list(LogReader(client, topic_name(PREFIX, EVENTS)).read_all())
    assert report["decisions"] == 60 and report["slices"] == {"EXPLORE": 60} and report["exploration_rate"] == 1.0
    acknowledged = report["acknowledged"]
    assert [acknowledged[name] for name in ("Request", "Action", "Propensity", "Ranking")] == [60] * 4
    assert acknowledged["Heartbeat"] == 4 and acknowledged["Engagement"] == report["engagements"]
    assert (acknowledged["Exploration"], acknowledged["Tally"]) == (1, 1), "in topics of their own"
    assert sum(acknowledged.values()) == report["handed_in"] == len(records) + 2
    assert set(report["true_lift"]) == {"repin", "p2p"}


def test_the_report_for_people_names_slices_and_truth() -> None:
    text = simulate._as_text(
        {
            "world": "easy/1",
            "decisions": 3,
            "slices": {"EXPLORE": 2, "POLICY": 1},
            "engagements": 4,
            "exploration_rate": 0.5,
            "true_lift": {"repin": 0.25},
        }
    )
    assert "world easy/1: 3 decisions (2 EXPLORE, 1 POLICY) and 4 engagements" in text and "repin +25.0%" in text


def test_the_last_day_ends_so_early_that_its_log_can_be_closed_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_EXPERIMENT", str(HOMEFEED))
    experiment = load_settings().load_experiment()
    now, window = time.time_ns() // 1_000_000, experiment.window_ms
    plan = simulate._plan(experiment, 1, 60, 0.5, None)
    assert plan.end_ms - plan.start_ms == 43_200_000
    assert now - 7 * 3_600_000 - window < plan.end_ms < now - window
    tomorrow = datetime.fromtimestamp(now / 1000 + 86_400, UTC).isoformat()
    late = CliRunner().invoke(app(), ["--ending", tomorrow])
    assert isinstance(late.exception, SettingError) and "future" in late.exception.what


def test_options_that_exclude_each_other_or_make_no_sense_are_named() -> None:
    runner = CliRunner()
    both = runner.invoke(app(), ["--via", "http://127.0.0.1:1", "--exploration-rate", "0.5"])
    assert isinstance(both.exception, SettingError) and "--exploration-rate" in both.exception.what
    when = runner.invoke(app(), ["--ending", "tomorrow"])
    assert isinstance(when.exception, SettingError) and "tomorrow" in when.exception.what


def test_the_truth_of_a_world_is_told_and_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_EXPERIMENT", str(HOMEFEED))
    monkeypatch.setenv("TRIMTAB_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    runner = CliRunner()
    told = runner.invoke(app(), ["--world", "homefeed", "--truth"], catch_exceptions=False).stdout
    assert "homefeed/1" in told and "+4.5% for the best arm of each request at α = 0.71" in told
    assert "CORE 0.71 to 0.88" in told and "of the sessions" in told
    figures = json.loads(runner.invoke(app(), ["--world", "null", "--truth", "--json"], catch_exceptions=False).stdout)
    assert (
        abs(figures["best_chosen"]) < 1e-12 and 0 < figures["hides_per"]["session"] < figures["hides_per"]["user-day"]
    )
    easy = runner.invoke(app(), ["--truth"])
    assert isinstance(easy.exception, SettingError) and "no exact figures" in easy.exception.what


def test_examples_are_written_without_kafka(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_EXPERIMENT", str(HOMEFEED))
    monkeypatch.setenv("TRIMTAB_KAFKA_BOOTSTRAP", "127.0.0.1:1")
    arguments = ["--world", "homefeed", "--requests", "300", "--days", "1", "--ending", "2024-05-01T00:00Z"]
    runner, into = CliRunner(), tmp_path / "examples"
    told = runner.invoke(app(), [*arguments, "--into", str(into)], catch_exceptions=False).stdout
    assert "world homefeed/1: 300 decisions" in told and "mean rewards: repin 0." in told
    assert [path.name for path in into.iterdir()] == ["examples-000000.parquet"]
    explored = [*arguments, "--exploration-rate", "1", "--into", str(tmp_path / "explored"), "--json"]
    report = json.loads(runner.invoke(app(), explored, catch_exceptions=False).stdout)
    assert report["slices"] == {"EXPLORE": 300} and report["logged"] == 300
    again = runner.invoke(app(), [*arguments, "--into", str(into)])
    assert isinstance(again.exception, SettingError) and "not an empty folder" in again.exception.what
    remote = runner.invoke(app(), [*arguments, "--into", str(into), "--via", "http://127.0.0.1:1"])
    assert isinstance(remote.exception, SettingError) and "--into" in remote.exception.what


def test_unknown_worlds_and_faults_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_EXPERIMENT", str(HOMEFEED))
    runner = CliRunner()
    world = runner.invoke(app(), ["--world", "mars"])
    assert isinstance(world.exception, SettingError) and "no world 'mars'" in world.exception.what
    fault = runner.invoke(app(), ["--world", "homefeed", "--fault", "rain=1"])
    assert isinstance(fault.exception, SettingError) and "names no fault" in fault.exception.what
