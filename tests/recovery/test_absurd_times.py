"""One request from a far future costs no other its place, and there is a way out where one is stored already."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from event_schemas.codec import Codec
from event_schemas.experiment import Experiment
from event_schemas.log_record import LogRecord
from event_schemas.registry import Registry
from event_schemas.units import DAY_MS
from learner.examples.example_decoder import ExampleDecoder
from learner.examples.example_rule import EVENT_TIME, REQUEST_ID, ExampleRule
from learner.examples.example_source import MemoryExampleSource
from learner.examples.ingest import DeadLetters, Ingest
from learner.examples.learner_errors import ClockMismatch
from learner.examples.segment_manifest import MANIFEST_NAME
from learner.examples.segment_reading import read_segments
from learner.examples.segment_salvage import DAMAGED_FOLDER, MANY_ROWS
from learner.examples.segment_store import SegmentStore
from learner.examples.time_limit import TimeLimit
from producers.delivery.memory_log import MemoryLog
from tests.learner_samples import START, World, experiment_document

EXPERIMENT = Experiment.model_validate(experiment_document())
WORLD = World(EXPERIMENT, Codec(Registry.bundled()))
SOUND = WORLD.examples(60)
SOUND_KEYS = {(e["request"]["request_id"], e["request"]["event_time"]) for e in SOUND}
NOW = START + DAY_MS
SKEW = EXPERIMENT.join.max_future_skew
RETENTION = EXPERIMENT.learner.retention
LIVE = TimeLimit(lambda: NOW, SKEW)
REPLAY = TimeLimit()
BY_HAND = TimeLimit(not_after=NOW)
FAR = st.integers(NOW + SKEW + DAY_MS + RETENTION, 2**62)
FARS = st.lists(st.tuples(st.integers(0, len(SOUND)), FAR), min_size=1, max_size=3)


@dataclass(frozen=True)
class Fates:
    """What became of the records of a log."""

    keys: set[tuple[str, int]]
    expired: int
    letters: int


def taken_in(directory: Path, log: list[LogRecord], limit: TimeLimit, reread: bool = False) -> Fates:
    """The log's records after what is stored already, a few at a time, as `trimtab learn` takes them in."""
    letters = MemoryLog()
    rule = ExampleRule(EXPERIMENT.action_space, limit)
    with SegmentStore(directory, "t.examples", RETENTION, reread=reread, rule=rule) as store:
        decoder = ExampleDecoder(WORLD.codec, EXPERIMENT.action_space, SKEW, limit)
        ingest = Ingest(Slowly(log), decoder, store, DeadLetters(WORLD.codec, letters, "dl"))
        ingest.start()
        for _ in ingest.to_end():
            pass
        frame = read_segments(directory)
        keys = set(frame.select(REQUEST_ID, EVENT_TIME).rows()) if frame.height else set()
        return Fates(keys, ingest.counts.expired, len(letters.records("dl")))


class Slowly(MemoryExampleSource):
    """A source that gives twenty records at a time."""

    def poll(self, max_records: int, timeout_s: float) -> list[LogRecord]:
        return super().poll(20, timeout_s)


def log_with(fars: list[tuple[int, int]]) -> list[LogRecord]:
    """The sound examples with others among them whose request and whose append lie in a far future."""
    examples = list(SOUND)
    for number, (place, at) in enumerate(fars):
        examples.insert(place, far_example(number, at))
    return WORLD.log(examples)


def far_example(number: int, at: int) -> dict[str, Any]:
    example = WORLD.example(1_000 + number, 0, 0.5, [0.0] * 4, [0.0, 0.0])
    for part in ("request", "action", "propensity", "ranking"):
        example[part] |= {"request_id": f"far{number}", "event_time": at}
    example["outcome"] |= {"window_closed_at": at + 1, "partition": 0}
    return example


@settings(max_examples=25, deadline=None)
@given(FARS)
def test_no_sound_example_expires_because_of_one_from_the_future(
    tmp_path_factory: pytest.TempPathFactory, fars: list[tuple[int, int]]
) -> None:
    """Although the log says that it was appended just as far ahead."""
    fates = taken_in(tmp_path_factory.mktemp("live"), log_with(fars), LIVE)
    assert fates == Fates(SOUND_KEYS, expired=0, letters=len(fars))


@settings(max_examples=25, deadline=None)
@given(FARS, st.sampled_from([(LIVE, LIVE), (BY_HAND, REPLAY)]))
def test_a_reread_leaves_out_what_an_older_version_or_a_replay_took_in(
    tmp_path_factory: pytest.TempPathFactory, fars: list[tuple[int, int]], limits: tuple[TimeLimit, TimeLimit]
) -> None:
    """With the clock's limit, or with --not-after where event times have nothing to do with the clock."""
    way_out, afterwards = limits
    directory, log = tmp_path_factory.mktemp("stored"), log_with(fars)
    before = taken_in(directory, log, REPLAY)
    assert {key[0] for key in before.keys} & {f"far{number}" for number in range(len(fars))}
    fates = taken_in(directory, log, way_out, reread=True)
    assert fates == Fates(SOUND_KEYS, expired=0, letters=len(fars))
    assert taken_in(directory, log, afterwards) == Fates(SOUND_KEYS, expired=0, letters=0)


def test_what_is_stored_from_the_future_is_named_at_the_start_and_when_it_is_left_out(tmp_path: Path) -> None:
    log = log_with([(30, NOW + 10 * RETENTION)])
    with capture_logs() as said:
        taken_in(tmp_path, log, REPLAY)
    [warning] = [line for line in said if "every example stored so far expires" in line["event"]]
    assert warning["request_id"] == "far0"
    with pytest.raises(ClockMismatch, match="a stored example is from ") as refused:
        taken_in(tmp_path, log, LIVE)
    assert "--reread" in refused.value.fix
    with capture_logs() as said:
        taken_in(tmp_path, log, LIVE, reread=True)
    [left_out] = [line for line in said if line["event"] == "stored example left out"]
    assert (left_out["request_id"], left_out["event_time"]) == ("far0", NOW + 10 * RETENTION)
    [aside] = (tmp_path / DAMAGED_FOLDER).iterdir()
    assert "far0" in pl.read_parquet(aside)[REQUEST_ID].to_list()


def test_the_other_rows_of_a_segment_overwrite_no_file(tmp_path: Path) -> None:
    """One that no manifest names may hold rows that the log no longer gives: an older manifest was put back."""
    log = log_with([(30, NOW + 10 * RETENTION)])
    taken_in(tmp_path, log, REPLAY)
    newest = max(tmp_path.glob("*.parquet"))
    unnamed = tmp_path / f"{int(newest.stem) + 1:08d}.parquet"
    WORLD.decoded(WORLD.examples(3, first=500)).write_parquet(unnamed)
    content = unnamed.read_bytes()
    assert taken_in(tmp_path, log, LIVE, reread=True).keys == SOUND_KEYS
    assert (tmp_path / DAMAGED_FOLDER / f"unnamed-{unnamed.name}").read_bytes() == content


def test_a_clock_that_stands_far_back_drops_nothing(tmp_path: Path) -> None:
    """Of many stored examples most lie after the limit: the clock is wrong, not they."""
    frame = WORLD.decoded(WORLD.examples(MANY_ROWS))
    with SegmentStore(tmp_path, "t.examples", RETENTION) as store:
        store.append(frame, {0: MANY_ROWS})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    rule = ExampleRule(EXPERIMENT.action_space, TimeLimit(lambda: START - 10 * DAY_MS, SKEW))
    with pytest.raises(ClockMismatch, match=f"{MANY_ROWS} of {MANY_ROWS} stored examples are after") as refused:
        SegmentStore(tmp_path, "t.examples", RETENTION, reread=True, rule=rule)
    assert "--not-after" in refused.value.fix
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    by_hand = ExampleRule(EXPERIMENT.action_space, TimeLimit(not_after=START + 99 * WORLD.spacing_ms))
    with SegmentStore(tmp_path, "t.examples", RETENTION, reread=True, rule=by_hand) as store:
        assert store.rows == 100
    assert (tmp_path / MANIFEST_NAME).exists()
