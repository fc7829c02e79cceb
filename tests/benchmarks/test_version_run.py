"""A run over a log in a file: all of it is joined, in chunks."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from benchmarks.version_run import CHUNK, LogInMemory, joined
from tests.stream_processors.event_log import CODEC, WINDOW_MS, EventLog, small_rule


def test_every_record_is_joined(tmp_path: Path) -> None:
    log = EventLog()
    for number in range(CHUNK // 3 + 1):
        log.decision(f"r{number}", 100)
    log.append(b"a", b"junk", 100)
    log.heartbeat(100 + WINDOW_MS)
    columns = {
        "append_time": [record.append_time for record in log.records],
        "key": [record.key for record in log.records],
        "value": [record.value for record in log.records],
    }
    pl.DataFrame(columns).write_ipc(tmp_path / "log")
    held = LogInMemory(tmp_path / "log")
    assert [len(chunk) for chunk in held.chunks()] == [CHUNK, len(log.records) - CHUNK]
    figures = joined(held, small_rule(), CODEC)
    assert (figures["examples"], figures["dead_letters"]) == (CHUNK // 3 + 1, 1)
    assert 0.0 <= figures["validation_cpu_s"] <= figures["cpu_s"]
