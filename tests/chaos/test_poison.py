"""Poison is what it claims to be, by the independent reference."""

from __future__ import annotations

from event_schemas.codec import Codec
from event_schemas.experiment import Experiment, load_experiment
from event_schemas.log_record import LogRecord
from event_schemas.registry import Registry
from stream_processors.rule.join_rule import JoinRule
from stream_processors.rule.reference_join import reference_join
from tests.chaos.poison import FUZZED_FRAMES, LARGE_BYTES, PoisonEvent, poison
from tests.components.homefeed_log import HomefeedLog

CODEC = Codec(Registry.bundled())
NOW = 1_790_000_000_000
KINDS = {
    "null value",
    "null key and value",
    "empty value",
    "empty key",
    "null key",
    "key is not the request_id",
    "key is not UTF-8",
    "schema id 0",
    "schema id 99",
    "schema id 2147483647",
    "schema id -1",
    "wrong magic byte",
    "frame cut in its header",
    "record of another topic",
    "truncated datum",
    "bytes after the datum",
    "10 MB of noise",
    "10 MB, valid but alone",
    "fuzzed frame",
}


def made(experiment: Experiment, seed: int = 5) -> list[PoisonEvent]:
    return poison(HomefeedLog(experiment, CODEC, 60), CODEC, seed)


def test_every_kind_is_there_and_the_seed_decides(experiment_file: str) -> None:
    experiment = load_experiment(experiment_file)
    events = made(experiment)
    assert {item.kind for item in events} == KINDS
    assert sum(item.kind == "fuzzed frame" for item in events) == FUZZED_FRAMES
    assert sum(len(item.event.value or b"") > LARGE_BYTES for item in events) == 2
    assert events == made(experiment)
    assert events != made(experiment, seed=6)


def test_the_reference_finds_each_certain_kind_wanting(experiment_file: str) -> None:
    experiment = load_experiment(experiment_file)
    log = HomefeedLog(experiment, CODEC, 60)
    events = poison(log, CODEC, 5)
    records = [LogRecord("events", 0, at, NOW, item.event.key, item.event.value) for at, item in enumerate(events)]
    records.append(LogRecord("events", 0, len(records), NOW, None, log.heartbeat()))
    fates = reference_join(JoinRule.from_experiment(experiment), CODEC, records).fates
    for at, item in enumerate(events):
        if item.reasons:
            assert fates[0, at] in item.reasons, item.kind
    fuzzed = [str(fates[0, at]) for at, item in enumerate(events) if not item.reasons]
    assert fuzzed.count("malformed") > FUZZED_FRAMES / 2
    assert "future" not in fuzzed
