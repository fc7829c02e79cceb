"""The settings of the topic are kept; what cannot be read is counted and named."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from event_schemas.codec import Codec
from event_schemas.errors import ComponentUnreachable
from event_schemas.exploration import ExplorationSettings
from event_schemas.log_record import LogRecord
from event_schemas.records import EXPLORATION, HEARTBEAT
from event_schemas.registry import Registry
from learner.examples.example_source import MemoryExampleSource
from learner.examples.exploration_reading import NAMED_SETTINGS, KeptExplorations, read_explorations, require_one_unit
from learner.examples.exploration_shelf import ExplorationShelf
from learner.examples.learner_errors import ExamplesLost, UnitChanged
from producers.topics.topic_admin import TopicError
from tests.box_samples import box_experiment

CODEC = Codec(Registry.bundled())
BOX = box_experiment()
SETTINGS = BOX.exploration


def record(offset: int, settings: ExplorationSettings, digest: str = "", text: str = "") -> LogRecord:
    content = {"event_time": 1, "digest": digest or settings.digest, "settings": text or settings.text}
    return LogRecord("t.explorations", 0, offset, 0, settings.digest.encode(), CODEC.encode(EXPLORATION, content))


def read(records: list[LogRecord], directory: Path) -> KeptExplorations:
    return read_explorations(MemoryExampleSource(records), CODEC, ExplorationShelf(directory))


def test_all_settings_of_the_topic_are_kept_with_those_kept_before(tmp_path: Path) -> None:
    others = replace(SETTINGS, salt="other")
    assert read([record(0, SETTINGS)], tmp_path).settings == {SETTINGS.digest: SETTINGS}
    both = {each.digest: each for each in (SETTINGS, others)}
    assert read([record(0, others)], tmp_path) == KeptExplorations(both, 0)
    assert ExplorationShelf(tmp_path).load() == both


def test_a_damaged_file_is_written_again_from_the_topic(tmp_path: Path) -> None:
    read([record(0, SETTINGS)], tmp_path)
    (tmp_path / f"{SETTINGS.digest}.json").write_bytes(b"\0" * 10)
    assert read([], tmp_path).settings == {}
    assert read([record(0, SETTINGS)], tmp_path).settings == {SETTINGS.digest: SETTINGS}


def test_what_cannot_be_read_is_counted_and_named_but_not_without_end(tmp_path: Path) -> None:
    other_unit = replace(SETTINGS, salt="x")
    bad = [
        LogRecord("t.explorations", 0, 0, 0, b"k", b"garbage"),
        LogRecord("t.explorations", 0, 1, 0, b"k", None),
        LogRecord("t.explorations", 0, 2, 0, b"k", CODEC.encode(HEARTBEAT, {"event_time": 1})),
        record(3, SETTINGS, digest=other_unit.digest),
        record(4, SETTINGS, text='{"kind": "cauchy"}'),
        *(record(5 + i, SETTINGS, text=SETTINGS.text.replace("{", '{"new": 1,')) for i in range(NAMED_SETTINGS)),
    ]
    with capture_logs() as logs:
        found = read([*bad, record(20, other_unit)], tmp_path)
    assert found == KeptExplorations({other_unit.digest: other_unit}, len(bad))
    assert [line["offset"] for line in logs if "offset" in line] == list(range(NAMED_SETTINGS))
    assert logs[-1]["records"] == len(bad) - NAMED_SETTINGS


class Absent(MemoryExampleSource):
    def __init__(self, fault: Exception) -> None:
        super().__init__([])
        self._fault = fault

    def start(self, offsets: object) -> None:
        raise self._fault


def test_an_absent_topic_is_only_logged(tmp_path: Path) -> None:
    ExplorationShelf(tmp_path).save(SETTINGS)
    with capture_logs() as logs:
        found = read_explorations(Absent(TopicError("no topic", fix="make it")), CODEC, ExplorationShelf(tmp_path))
    assert found.settings == {SETTINGS.digest: SETTINGS}
    assert [line["event"] for line in logs] == ["no exploration settings are read"]
    with pytest.raises(ComponentUnreachable, match="changed while they were read"):
        read_explorations(Absent(ExamplesLost("gone", fix="again")), CODEC, ExplorationShelf(tmp_path))


def test_another_unit_is_refused_with_both_ways_out() -> None:
    require_one_unit([SETTINGS, replace(SETTINGS, salt="other")], BOX)
    with pytest.raises(UnitChanged, match="decisions were drawn by request") as refused:
        require_one_unit([SETTINGS, replace(SETTINGS, unit="request")], BOX)
    assert "experiment.exploration_unit = 'request'" in refused.value.fix
    assert "new name" in refused.value.fix
