"""The replay of dead letters on a real broker: what is written, what exists, what is left to the join or for good."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, without __all__
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from event_schemas.dead_letter import TOO_LARGE, dead_letter
from event_schemas.log_record import LogRecord
from producers.topics.topic_identity import topic_identities
from stream_processors.audit.dead_letter_replay import LetterReplay, LetterReplaySummary
from stream_processors.audit.join_topics import JoinTopics
from stream_processors.audit.letter_gathering import LetterChoice
from stream_processors.audit.offline_join import OfflineJoin
from stream_processors.audit.replayed_examples import ReplayedExamples
from stream_processors.partition.commit_position import CommitPosition
from stream_processors.rule.fates import Fate
from tests.components.kafka_broker import KafkaBroker
from tests.conftest import TopicFactory
from tests.record_samples import DEAD_LETTER
from tests.stream_processors.event_log import CODEC, WINDOW_MS, EventLog, small_rule

P = 1


class Bench:
    """Topics with a hand-written log in partition 1 and letters about it."""

    def __init__(self, client_config: dict[str, str], prefix: str) -> None:
        self.client_config = client_config
        self.topics = JoinTopics.under(client_config, prefix, topic_identities(client_config))

    def log(self, records: Iterable[LogRecord]) -> None:
        self._produce(self.topics.events.topic, ((record.key, record.value) for record in records))

    def letters(self, records: Iterable[LogRecord], reason: Fate = Fate.INCOMPLETE) -> None:
        ours = (record._replace(topic=self.topics.events.topic) for record in records)
        values = ((record.key, CODEC.encode("DeadLetter", dead_letter(record, reason, "then"))) for record in ours)
        self._produce(self.topics.dead_letters.topic, values)

    def letter(self, **fields: object) -> None:
        content = {**DEAD_LETTER, "topic": self.topics.events.topic, "partition": P} | fields
        self._produce(self.topics.dead_letters.topic, [(None, CODEC.encode("DeadLetter", content))])

    def settle(self, open_from: int) -> None:
        """The join's group commits that it has settled everything before `open_from`."""
        position = CommitPosition(open_from, open_from, open_from, None, 0, WINDOW_MS)
        consumer = Consumer({**self.client_config, "group.id": self.topics.group})
        entry = TopicPartition(self.topics.events.topic, P, open_from, metadata=position.encode())
        consumer.commit(offsets=[entry], asynchronous=False)
        consumer.close()

    def replay(self, choice: LetterChoice | None = None, dry_run: bool = False) -> LetterReplaySummary:
        join = OfflineJoin(small_rule(), CODEC)
        seen: list[tuple[str, int, int]] = []
        with ReplayedExamples(self.client_config, self.topics.examples.topic, self.topics.events_id) as examples:
            sink = None if dry_run else examples
            run = LetterReplay(self.topics, join, CODEC, sink, lambda *step: seen.append(step))
            summary = run.run(choice or LetterChoice())
        assert all(done <= total for _, done, total in seen)
        accounted = summary.writable + summary.exists + summary.open + summary.remaining.total()
        assert summary.decisions == accounted
        return summary

    def examples(self) -> list[str]:
        return [(record.key or b"").decode() for record in self.topics.examples.read_all()]

    def limit_examples(self, size: int) -> None:
        entry = ConfigEntry("max.message.bytes", str(size), incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, self.topics.examples.topic, incremental_configs=[entry])
        admin = AdminClient({**self.client_config})
        for done in admin.incremental_alter_configs([resource]).values():
            done.result(20)

    def _produce(self, topic: str, values: Iterable[tuple[bytes | None, bytes | None]]) -> None:
        producer = Producer({**self.client_config, "enable.idempotence": True})
        for key, value in values:
            producer.produce(topic, value, key, P)
        assert producer.flush(20) == 0


@pytest.fixture
def bench(kafka: KafkaBroker, topics: TopicFactory) -> Bench:
    return Bench({"bootstrap.servers": kafka.bootstrap}, topics(2))


def test_what_is_whole_is_written_once_and_the_rest_is_named(bench: Bench) -> None:
    log = EventLog(P)
    log.decision("whole", 100)
    log.request("torn", 100)
    bench.log(log.records)
    bench.letters(log.records)
    bench.letters(log.records[:1])
    bench.letter(topic="shop-log", request_id="whole")
    bench.letter(partition=0, request_id="whole")
    bench.letter(key=None, request_id=None, offset=99)
    rehearsal = bench.replay(dry_run=True)
    assert (rehearsal.writable, rehearsal.written, bench.examples()) == (1, 0, [])

    done = bench.replay()
    assert (done.letters, done.foreign, done.nameless, done.decisions) == (8, 2, 1, 2)
    assert (done.written, done.exists, done.open) == (1, 0, 0)
    assert [(left.request_id, left.partition, left.reason) for left in done.listed] == [("torn", P, "incomplete")]
    again = bench.replay()
    assert (again.written, again.exists, again.as_dict()["remaining"]) == (0, 1, {"incomplete": 1})
    assert bench.examples() == ["whole"]


def test_what_the_join_may_still_hold_is_left_to_it(bench: Bench) -> None:
    log = EventLog(P)
    log.decision("a", 100)
    bench.log(log.records)
    bench.letters(log.records[2:])
    assert bench.replay().open == 1
    bench.settle(open_from=1)
    assert bench.replay().open == 1
    bench.settle(open_from=3)
    assert bench.replay().written == 1, "the log has what no letter carries"


def test_letters_are_enough_when_the_log_is_gone(bench: Bench) -> None:
    log = EventLog(P)
    log.decision("a", 100)
    big = log.request("big", 100, context=[{"name": "surface", "value": "x" * 600_000}])
    bench.log(log.records)
    bench.letters(log.records)
    assert bench.replay(dry_run=True).listed[0].detail == "no valid Action and no valid Propensity"
    admin = AdminClient({**bench.client_config})
    cut = TopicPartition(bench.topics.events.topic, P, big.offset + 1)
    for done in admin.delete_records([cut]).values():
        done.result(20)
    summary = bench.replay()
    assert (summary.written, bench.examples()) == (1, ["a"])
    assert (summary.listed[0].request_id, summary.listed[0].reason) == ("big", "malformed")
    assert "the events log no longer holds it" in summary.listed[0].detail


def test_an_example_that_was_refused_for_its_size_is_written_when_the_topic_takes_it(bench: Bench) -> None:
    log = EventLog(P)
    log.decision("a", 100)
    log.decision("b", 100)
    log.records[3] = log.records[3]._replace(value=EventLog().request("b", 100, user_id="u" * 3_000).value)
    bench.log(log.records)
    for offset, request_id in ((0, "a"), (3, "b")):
        bench.letter(reason=TOO_LARGE, offset=offset, key=request_id.encode(), value=None, request_id=request_id)
    bench.settle(open_from=6)
    bench.limit_examples(2_000)
    first = bench.replay()
    assert (first.writable, first.written, dict(first.remaining)) == (1, 1, {TOO_LARGE: 1})
    assert "refused" in first.listed[0].detail
    bench.limit_examples(1_000_000)
    assert bench.replay().written == 1
    assert bench.examples() == ["a", "b"]


def test_a_choice_names_decisions_and_brings_all_their_letters(bench: Bench) -> None:
    log = EventLog(P)
    for request_id in "abc":
        log.decision(request_id, 100)
    bench.log(log.records)
    bench.letters(log.records)
    assert bench.replay(LetterChoice(partitions=frozenset({0}))).decisions == 0
    assert bench.replay(LetterChoice(start={P: 8})).written == 1
    assert bench.replay(LetterChoice(request_ids=frozenset({"a"}), end={P: 1})).written == 1
    assert bench.examples() == ["c", "a"]
