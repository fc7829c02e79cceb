"""The settings of a join worker, from the environment and the experiment file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from event_schemas.errors import ComponentUnreachable, ExperimentError, SettingError, TrimtabError, UnknownSchema
from event_schemas.experiment_sections import JoinSpec
from producers.topics.topic_admin import TopicError
from stream_processors.partition.commit_position import CommitUnreadable, LogTruncated
from stream_processors.worker.example_writer import OutputUnconfirmed
from stream_processors.worker.owned_partitions import RecordsMissed
from trimtab.commands.join import WorkerOptions, needs_a_person, warn_of_fast_clocks, worker_settings
from trimtab.settings import load_settings


def test_worker_settings_come_from_both(experiment_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_KAFKA_BOOTSTRAP", "broker:9092")
    monkeypatch.setenv("TRIMTAB_TOPIC_PREFIX", "mine.")
    monkeypatch.setenv("TRIMTAB_KAFKA_SECURITY_PROTOCOL", "SSL")
    monkeypatch.setenv("TRIMTAB_EXPERIMENT", str(experiment_file))
    settings = load_settings()
    worker = worker_settings(settings, settings.load_experiment(), 7.0)
    assert worker.client_config["bootstrap.servers"] == "broker:9092"
    assert worker.client_config["security.protocol"] == "SSL"
    assert worker.events == "mine.events"
    assert (worker.examples, worker.dead_letters) == ("mine.examples", "mine.dead-letters")
    assert worker.group == "mine.join"
    assert (worker.live, worker.producer_delay_ms, worker.session_seconds) == (False, 60_000, 7.0)


def test_a_live_clock_makes_a_live_worker(experiment_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = experiment_file.read_text(encoding="utf-8").replace('clock = "replay"', 'clock = "live"')
    experiment_file.write_text(text, encoding="utf-8")
    monkeypatch.setenv("TRIMTAB_EXPERIMENT", str(experiment_file))
    settings = load_settings()
    assert worker_settings(settings, settings.load_experiment(), 7.0).live


def test_a_supervised_worker_gets_a_port_of_its_own() -> None:
    options = WorkerOptions(9100, "0.0.0.0", 6.0)
    assert options.command(2)[2:] == [
        "trimtab",
        "join",
        "--supervised",
        "--session-seconds",
        "6.0",
        "--metrics-port",
        "9102",
        "--metrics-host",
        "0.0.0.0",
    ]
    assert options.url(2) == "http://127.0.0.1:9102"
    assert WorkerOptions(9100, "::", 6.0).url(1) == "http://[::1]:9101"
    assert "--metrics-port" not in WorkerOptions(None, "127.0.0.1", 6.0).command(1)


@pytest.mark.parametrize(
    ("fault", "person"),
    [
        (LogTruncated, True),
        (CommitUnreadable, True),
        (TopicError, True),
        (ExperimentError, True),
        (UnknownSchema, True),
        (SettingError, True),
        (ComponentUnreachable, False),
        (OutputUnconfirmed, False),
        (RecordsMissed, False),
    ],
)
def test_what_a_restart_cannot_fix_needs_a_person(fault: type[TrimtabError], person: bool) -> None:
    assert needs_a_person(fault("what", fix="how")) is person


@given(st.integers(0, 10), st.integers(0, 10), st.sampled_from(["live", "replay"]))
def test_it_warns_when_a_fast_clock_could_orphan_engagements(lateness: int, skew: int, clock: Any) -> None:
    join = JoinSpec(allowed_lateness=lateness, max_future_skew=skew, clock=clock)
    with capture_logs() as said:
        warn_of_fast_clocks(join)
    assert bool(said) == (clock == "live" and lateness < skew)
    assert all(f"= {skew}ms: one clock" in line["event"] and "allowed_lateness" in line["fix"] for line in said)
