"""What the environment and the experiment file say to a join worker."""

from __future__ import annotations

from pathlib import Path

import pytest

from trimtab.commands.join import worker_settings
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
