"""What a join worker's log gives away."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.example_tally import ExampleTally
from benchmarks.input_log import InputLog
from benchmarks.worker_log import first_taken, worker_environment

LOG = """\
some library's warning
timestamp=2026-01-02T03:04:05.250000Z level=info event="partition taken" partition=1 read_from=0
timestamp=2026-01-02T03:04:06.000000Z level=info event="partition taken" partition=2 read_from=0
"""


def test_the_first_taken_partition_is_the_start() -> None:
    assert first_taken(LOG) == datetime(2026, 1, 2, 3, 4, 5, 250_000, tzinfo=UTC).timestamp()


def test_a_worker_that_took_nothing_has_no_start() -> None:
    assert first_taken("timestamp=2026-01-02T03:04:05Z event=stopping") is None


def test_settings_of_the_surroundings_do_not_leak_into_a_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TRIMTAB_KAFKA_COMPRESSION", "zstd")
    log = InputLog("host:1", "p.", 1, 1, 1, ExampleTally())
    environment = worker_environment(log, tmp_path / "x.toml", tmp_path)
    assert "TRIMTAB_KAFKA_COMPRESSION" not in environment
    assert environment["TRIMTAB_TOPIC_PREFIX"] == "p."
