"""Reconciliation over ranges of the log, on a real broker."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from event_schemas.codec import Codec
from event_schemas.dead_letter import left_out
from event_schemas.experiment import load_experiment
from event_schemas.registry import Registry
from producers.topics.topic_identity import topic_identities
from stream_processors.audit.join_topics import JoinTopics
from stream_processors.audit.log_reader import LogRange, LogUnreadable
from stream_processors.audit.reconcile_run import ReconcileOutcome, reconcile
from stream_processors.rule.join_rule import JoinRule
from tests.components.homefeed_log import HomefeedLog
from tests.components.join_bench import JoinBench
from tests.record_samples import DEAD_LETTER, ENGAGEMENT

CODEC = Codec(Registry.bundled())


class Auditor:
    """A joined log and reconciliations of it."""

    def __init__(self, bench: JoinBench) -> None:
        self.bench = bench
        _shorten_windows(bench.experiment_file)
        self.experiment = load_experiment(bench.experiment_file)
        self.rule = JoinRule.from_experiment(self.experiment)
        log = HomefeedLog(self.experiment, CODEC, 2_000)
        bench.send(log.events())
        bench.close_windows(log.heartbeat())
        bench.start_worker()
        bench.wait_until_processed()
        bench.stop_workers()
        self.held = bench.reader("events").ranges()

    def judge(self, start: dict[int, int], end: dict[int, int] | None = None) -> ReconcileOutcome:
        self.told: list[tuple[str, int, int]] = []
        return reconcile(topics_of(self.bench), self.rule, CODEC, start, end, lambda *told: self.told.append(told))


def topics_of(bench: JoinBench) -> JoinTopics:
    return JoinTopics.under(bench.client_config, bench.prefix, topic_identities(bench.client_config))


def test_letters_of_a_replay_are_left_aside_and_a_key_of_a_megabyte_is_one_dead_letter(join_bench: JoinBench) -> None:
    producer = Producer(join_bench.client_config)
    letter = {**DEAD_LETTER, "topic": "shop-log", "partition": 0, "offset": 3}
    producer.produce(f"{join_bench.prefix}dead-letters", CODEC.encode("DeadLetter", letter), partition=0)
    producer.produce(f"{join_bench.prefix}events", CODEC.encode("Engagement", ENGAGEMENT), b"\0" * 990_000)
    assert producer.flush(20) == 0
    report = Auditor(join_bench).judge({}).report
    assert report.ok, report.differences
    named = left_out("key", b"\0" * 990_000)
    letters = [letter for letter in join_bench.decoded("dead-letters") if named in letter["detail"]]
    assert [(letter["reason"], letter["key"]) for letter in letters] == [("malformed", None)]


def test_a_stranger_in_an_output_topic_is_named(join_bench: JoinBench) -> None:
    producer = Producer(join_bench.client_config)
    producer.produce(f"{join_bench.prefix}examples", CODEC.encode("Engagement", ENGAGEMENT), partition=1)
    assert producer.flush(20) == 0
    rule = JoinRule.from_experiment(load_experiment(join_bench.experiment_file))
    with pytest.raises(LogUnreadable, match=r"examples\[1\] has a record of type Engagement at offset 0"):
        reconcile(topics_of(join_bench), rule, CODEC, {}, None)


def test_ranges_of_a_joined_log(join_bench: JoinBench) -> None:
    auditor = Auditor(join_bench)
    whole = auditor.judge({})
    assert whole.report.ok, whole.report.differences
    assert whole.judged == auditor.held
    assert whole.unprocessed == 0
    events = sum(span.end for span in auditor.held.values())
    assert auditor.told[:3] == [("join events again", done, events) for done in (0, 1_000, 2_000)]
    assert next(told for told in auditor.told if told[1] == told[2]) == ("join events again", events, events)
    assert {doing for doing, _, _ in auditor.told} == {"join events again", "read examples", "read dead letters"}

    middle = {partition: span.end // 2 for partition, span in auditor.held.items()}
    first, second = auditor.judge({}, middle), auditor.judge(middle)
    assert first.report.ok, first.report.differences
    assert second.report.ok, second.report.differences
    assert first.report.inputs + second.report.inputs == whole.report.inputs
    assert first.report.pending > 0, "windows were open in the middle"
    assert 0 < second.report.examples_found < whole.report.examples_found
    assert first.as_dict()["judged"]["0"] == [0, middle[0]]

    auditor.rule = replace(auditor.rule, window_ms=auditor.rule.window_ms + 1)
    assert not auditor.judge({}).report.ok, "another rule is another result"

    _delete_up_to(join_bench, {partition: offset // 2 for partition, offset in middle.items()})
    auditor.rule = JoinRule.from_experiment(auditor.experiment)
    with pytest.raises(LogUnreadable, match="after the requested 0"):
        auditor.judge({0: 0})
    assert auditor.judge({}).judged[0] == LogRange(middle[0] // 2, auditor.held[0].end)


def _shorten_windows(experiment_file: Path) -> None:
    text = experiment_file.read_text(encoding="utf-8")
    text = text.replace('"30m"', '"4m"').replace('"10m"', '"2m"').replace('"5m"', '"1m"')
    experiment_file.write_text(text, encoding="utf-8")


def _delete_up_to(bench: JoinBench, offsets: dict[int, int]) -> None:
    admin = AdminClient({**bench.client_config})
    doomed = [TopicPartition(f"{bench.prefix}events", partition, offset) for partition, offset in offsets.items()]
    for answer in admin.delete_records(doomed).values():
        answer.result()
