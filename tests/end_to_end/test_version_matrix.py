"""Producers, join and learner of two releases on a real broker, in every combination.

A process of the release before is this code with a registry of that release's versions. The join is its pure class over
the records of the broker's log, so that a cell takes a second. What a process cannot read is a dead letter, and each
test ends with the upgrade: a replay of the dead letters, and the learner reading `examples` again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from event_schemas import records as r
from event_schemas.codec import Codec
from event_schemas.errors import UnknownSchema
from event_schemas.experiment import Experiment, load_experiment
from event_schemas.registry import Registry
from learner.examples.example_decoder import ExampleDecoder
from learner.examples.example_source import KafkaExampleSource
from learner.examples.ingest import DeadLetters, Ingest, IngestCounts
from learner.examples.segment_reading import read_segments
from learner.examples.segment_store import SegmentStore
from producers.delivery.kafka_delivery import KafkaDelivery
from producers.topics.topic_identity import topic_identities
from stream_processors.audit.dead_letter_replay import LetterReplay, LetterReplaySummary
from stream_processors.audit.dead_letter_store import read_dead_letters
from stream_processors.audit.join_topics import JoinTopics
from stream_processors.audit.letter_gathering import LetterChoice
from stream_processors.audit.offline_join import OfflineJoin
from stream_processors.audit.reconcile_run import reconcile
from stream_processors.audit.replayed_examples import ReplayedExamples
from stream_processors.columns.chunk_validation import ChunkValidator
from stream_processors.columns.record_columns import RecordColumns
from stream_processors.partition.partition_join import PartitionJoin
from stream_processors.rule.join_rule import JoinRule
from tests.components.homefeed_log import MINUTE, START, HomefeedLog, SentEvent, repin
from tests.components.kafka_broker import KafkaBroker
from tests.conftest import TopicFactory

BUNDLED = Registry.bundled()
FIRST = [entry for entry in BUNDLED.entries() if entry.version == 1 and entry.name != r.EXPLORATION]
ADDED = {
    name: {field["name"]: field["default"] for field in newest.schema["fields"][len(first.schema["fields"]) :]}
    for name in (r.REQUEST, r.ACTION, r.PROPENSITY)
    for first, newest in [BUNDLED.versions(name)]
}
"""What version 2 of a record adds, with its defaults."""


class CodecBefore(Codec):
    """The codec of the release before: it neither reads nor writes version 2.

    The code around it is of this release and asks for the new fields, so what it reads has their defaults.
    """

    def __init__(self) -> None:
        super().__init__(Registry(FIRST))

    def decode_datum(self, schema_id: int, datum: bytes) -> r.Record:
        return ADDED.get(self.registry.entry(schema_id).name, {}) | super().decode_datum(schema_id, datum)


CODECS = {1: CodecBefore(), 2: Codec(BUNDLED)}
NEW: dict[str, dict[str, Any]] = {
    r.REQUEST: {"previous": [{"event_time": START - MINUTE, "weights": [91.6, 9.1]}]},
    r.PROPENSITY: {"exploration": "0" * 64},
}
"""What only producers of version 2 say."""
DECISIONS = 24
FOREVER = 10**15


@dataclass
class Cell:
    """Topics of one partition, and the processes that work on them."""

    client: dict[str, str]
    prefix: str
    experiment: Experiment
    directory: Path

    @cached_property
    def rule(self) -> JoinRule:
        return JoinRule.from_experiment(self.experiment)

    @cached_property
    def topics(self) -> JoinTopics:
        return JoinTopics.under(self.client, self.prefix, topic_identities(self.client))

    def produce(self, version: int) -> None:
        """Decisions with an engagement each, and the heartbeat after them, as producers of this version write them."""
        log = HomefeedLog(self.experiment, CODECS[2], DECISIONS)
        events = [event for number in range(DECISIONS) for event in log.bare_decision(f"d{number:02}", START + number)]
        written = [_written(event, version) for event in events]
        written += [repin(f"d{number:02}", CODECS[version]) for number in range(DECISIONS)]
        beat = CODECS[version].encode(r.HEARTBEAT, {"event_time": START + 60 * MINUTE})
        self._send("events", [*((event.key, event.value) for event in written), (None, beat)])

    def join(self, version: int) -> None:
        """The join of this version over the whole log; it commits, as its worker does."""
        topics, codec = self.topics, CODECS[version]
        join = PartitionJoin(self.rule, codec, 0)
        validated = ChunkValidator(codec, self.rule).validate(RecordColumns.of(list(topics.events.read_all())))
        emissions = [emission for step in join.steps(validated) for emission in step.emissions]
        for kind, topic in (("example", "examples"), ("dead_letter", "dead-letters")):
            self._send(topic, [(emission.key, emission.value) for emission in emissions if emission.kind == kind])
        position = join.position()
        assert position is not None
        text = replace(position, topic_id=topics.events_id).encode()
        place = TopicPartition(topics.events.topic, 0, position.rebuild_from, metadata=text)
        with closing(Consumer({**self.client, "group.id": topics.group})) as consumer:
            consumer.commit(offsets=[place], asynchronous=False)

    def learn(self, version: int, folder: str, reread: bool = False) -> IngestCounts:
        """The learner of this version takes in what is in `examples`, into a folder of its own."""
        source = KafkaExampleSource(self.client, self.topics.examples.topic)
        letters, decoder = f"{self.prefix}dead-letters", ExampleDecoder(CODECS[version], self.experiment.action_space)
        with (
            closing(source),
            SegmentStore(self.directory / folder, self.topics.examples.topic, FOREVER, reread=reread) as store,
            KafkaDelivery(self.client) as delivery,
        ):
            ingest = Ingest(source, decoder, store, DeadLetters(CODECS[version], delivery, letters))
            ingest.start()
            for _ in ingest.to_end():
                pass
            return ingest.counts

    def replay(self) -> LetterReplaySummary:
        """`trimtab dead-letters replay` of version 2."""
        topics, codec = self.topics, CODECS[2]
        with ReplayedExamples(self.client, topics.examples.topic, topics.events_id) as examples:
            return LetterReplay(topics, OfflineJoin(self.rule, codec), codec, examples).run(LetterChoice())

    def examples(self) -> list[Any]:
        """Every example, decoded by version 2."""
        return [CODECS[2].decode(record.value) for record in self.topics.examples.read_all()]

    def letters(self) -> Counter[tuple[str, str, str]]:
        """Dead letters by topic, reason, and the record in them, as version 2 decodes it."""
        stored = list(read_dead_letters(self.topics.dead_letters.read_all(), CODECS[2]))
        return Counter(
            (each.letter["topic"].removeprefix(self.prefix), each.letter["reason"], _name(each.letter["value"]))
            for each in stored
        )

    def rows(self, folder: str) -> dict[str, Any]:
        """What is stored, by request_id: what only version 2 says."""
        columns = ["request_request_id", "request_previous", "propensity_exploration"]
        return {row[0]: row[1:] for row in read_segments(self.directory / folder, columns).rows()}

    def is_exact(self) -> bool:
        """Whether `trimtab reconcile` of version 2 agrees with what is in the topics."""
        report = reconcile(self.topics, self.rule, CODECS[2], {}, None).report
        assert report.ok, report.differences
        return report.examples_found == report.examples_expected == DECISIONS

    def _send(self, topic: str, values: Iterable[tuple[bytes | None, bytes | None]]) -> None:
        producer = Producer({**self.client, "enable.idempotence": True})
        for key, value in values:
            producer.produce(f"{self.prefix}{topic}", value, key, 0)
        assert producer.flush(30) == 0


@pytest.fixture
def cell(kafka: KafkaBroker, topics: TopicFactory, experiment_file: Path, tmp_path: Path) -> Cell:
    return Cell({"bootstrap.servers": kafka.bootstrap}, topics(1), load_experiment(experiment_file), tmp_path)


UNREADABLE = {("events", "malformed", name): DECISIONS for name in (r.REQUEST, r.ACTION, r.PROPENSITY)}
"""The parts that a join of the release before cannot read; engagements have not changed, but have no decision then."""
WITHOUT = UNREADABLE | {("events", "orphan", r.ENGAGEMENT): DECISIONS}
EXAMPLES = {("examples", "malformed", r.EXAMPLE): DECISIONS}


@pytest.mark.parametrize(("producers", "join"), [(1, 1), (1, 2), (2, 1), (2, 2)])
def test_every_decision_becomes_a_row_at_once_or_after_the_upgrade(cell: Cell, producers: int, join: int) -> None:
    joined, learned = join >= producers, DECISIONS if join >= producers else 0
    said = _said(producers)
    cell.produce(producers)
    cell.join(join)
    assert [example.version for example in cell.examples()] == [join] * learned
    assert cell.letters() == ({} if joined else WITHOUT)

    before, latest = cell.learn(1, "before"), cell.learn(2, "latest")
    refused = learned if join == 2 else 0
    assert before == IngestCounts(stored=learned - refused, malformed=refused)
    assert latest == IngestCounts(stored=learned)
    assert cell.letters() == ({} if joined else WITHOUT) | (EXAMPLES if refused else {})
    assert cell.rows("latest") == (said if joined else {})

    # Everything is upgraded: the dead letters of the join are replayed, and the learner reads examples again.
    done = cell.replay()
    assert (done.written, done.foreign) == (DECISIONS - learned, refused)
    assert (done.exists, done.open, done.remaining) == (0, 0, {})
    assert cell.replay().written == 0
    assert sorted(example.record["request"]["request_id"] for example in cell.examples()) == sorted(said)
    assert cell.is_exact()

    for folder in ("latest", "before"):  # it goes on after what it refused
        assert cell.learn(2, folder) == IngestCounts(stored=DECISIONS - learned)
    if refused:
        again = cell.learn(2, "before", reread=True)
        assert again == IngestCounts(stored=refused, duplicate=DECISIONS - refused)
    assert cell.rows("before") == cell.rows("latest") == said


def test_commands_of_the_release_before_name_the_version_that_they_cannot_read(cell: Cell) -> None:
    cell.produce(1)
    cell.join(2)
    newest = CODECS[2].schema_id(r.EXAMPLE)
    with pytest.raises(UnknownSchema, match=f"schema id {newest} is not registered .*restart this process"):
        reconcile(cell.topics, cell.rule, CODECS[1], {}, None)


def _written(event: SentEvent, version: int) -> SentEvent:
    """The event as producers of this version write it."""
    decoded = CODECS[2].decode(event.value)
    record = decoded.record | (NEW.get(decoded.name, {}) if version == 2 else {})
    return SentEvent(event.time, event.key, CODECS[version].encode(decoded.name, record))


def _name(value: bytes | None) -> str:
    return CODECS[2].decode(value).name


def _said(producers: int) -> dict[str, Any]:
    """For each decision what version 2 stores of what only it says."""
    new = (NEW[r.REQUEST]["previous"], NEW[r.PROPENSITY]["exploration"]) if producers == 2 else ([], None)
    return {f"d{number:02}": new for number in range(DECISIONS)}
