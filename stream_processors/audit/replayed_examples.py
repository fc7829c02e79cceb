"""Writes the examples of a replay of dead letters with a mark, and finds marked examples for reconciliation.

The mark consists of two Kafka headers: the offset up to which the replay had read the events log, and that topic's id.
They let reconciliation join the same records again; readers of examples can ignore them. Version 0.1.0 wrote no id.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaError, Message

from event_schemas.codec import Codec
from event_schemas.decision_key import DecisionKey
from event_schemas.errors import SchemaError, TrimtabError
from event_schemas.log_record import LogRecord
from event_schemas.records import EXAMPLE
from producers.delivery import OUTPUT_MESSAGE_BYTES, KafkaClient, OutgoingEvent
from producers.topics import EVENT_REFUSED, unwritten
from stream_processors.audit.dead_letter_store import read_dead_letters
from stream_processors.audit.join_topics import JoinTopics
from stream_processors.audit.letter_gathering import GatheredDecisions, by_request_id
from stream_processors.audit.log_reader import Headers, LogRange
from stream_processors.audit.offline_join import OfflineExample, OfflineJoin

MARK = "trimtab-replayed-up-to"
TOPIC_MARK = "trimtab-replayed-topic-id"
DELIVERY_SECONDS = 30.0
IN_FLIGHT = 5_000
RERUN_FIX = "check the broker and run the command again: it skips examples that have been written"


class ReplayUnconfirmed(TrimtabError):
    """The broker did not confirm examples of a replay."""


@dataclass(frozen=True, slots=True)
class _Outgoing:
    example: OfflineExample
    up_to: int


class ReplayedExamples:
    """Writes examples with the mark and counts those the broker has confirmed; use it as a context manager.

    `events_id` is the id of the events topic to which the offset in the mark belongs.
    """

    def __init__(
        self, client_config: Mapping[str, str], topic: str, events_id: str, delivery_seconds: float = DELIVERY_SECONDS
    ) -> None:
        self.topic = topic
        self._events_id = events_id
        self._client_config = client_config
        self._seconds = delivery_seconds
        self.written = 0
        self._refused: dict[_Outgoing, str] = {}
        self._failure: KafkaError | None = None
        self._client = KafkaClient(
            {
                **client_config,
                "linger.ms": 20,
                "message.max.bytes": OUTPUT_MESSAGE_BYTES,
                "delivery.timeout.ms": int(delivery_seconds * 1000),
            },
            "trimtab.stream_processors",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self._client.give_up()
        self._client.release()

    def write(self, example: OfflineExample, up_to: int) -> None:
        """Write one example to the partition of its events; raises ReplayUnconfirmed if an earlier one failed."""
        self._raise_failure()
        while len(self._client) >= IN_FLIGHT and self._client.fault is None:
            self._client.poll(0.05)
        outgoing = _Outgoing(example, up_to)
        event = OutgoingEvent(self.topic, example.key, example.value, EXAMPLE, example.partition)
        mark = [(MARK, str(up_to).encode()), (TOPIC_MARK, self._events_id.encode())]
        fault = self._client.produce(event, partial(self._delivered, outgoing), mark)
        if fault is not None:
            self._settle(outgoing, fault)
        self._client.poll(0)

    def confirm(self) -> dict[DecisionKey, str]:
        """Wait until all written examples are confirmed; raises ReplayUnconfirmed.

        Returns, by decision, why the broker refuses an example permanently. A broker refuses a whole batch if one of
        its examples is too large, so refused examples are first sent again one by one.
        """
        self._flush()
        alone, self._refused = self._refused, {}
        for outgoing in alone:
            self.write(outgoing.example, outgoing.up_to)
            self._flush()
        refused, self._refused = self._refused, {}
        return {outgoing.example.decision: fault for outgoing, fault in refused.items()}

    def _flush(self) -> None:
        left = self._client.flush(self._seconds + 5.0)
        self._raise_failure()
        if left:
            raise ReplayUnconfirmed(f"{left} examples for {self.topic} were not confirmed", fix=RERUN_FIX)

    def _delivered(self, outgoing: _Outgoing, fault: KafkaError | None, _: Message) -> None:
        self._settle(outgoing, fault)

    def _settle(self, outgoing: _Outgoing, fault: KafkaError | None) -> None:
        if fault is None:
            self.written += 1
        elif fault.code() in EVENT_REFUSED:
            self._refused[outgoing] = fault.str()
        else:
            self._failure = self._failure or fault

    def _raise_failure(self) -> None:
        fault = self._client.fault or self._failure
        if fault is not None:
            what, fix = unwritten(self._client.cause(fault), self._client_config, self.topic, RERUN_FIX)
            raise ReplayUnconfirmed(what, fix=fix)


class MarkedExamples:
    """Notes, while the examples topic is read, the decisions whose first example was written by a replay.

    A mark with the id of another, since deleted events topic is ignored; `events_id` is the id of the current one.
    """

    def __init__(self, codec: Codec, events_id: str) -> None:
        self._codec = codec
        self._ids = (b"", events_id.encode())
        self._seen: set[DecisionKey] = set()
        self._marks: dict[int, dict[DecisionKey, int]] = {}

    def noting(self, records: Iterable[tuple[LogRecord, Headers]]) -> Iterator[LogRecord]:
        """Yield the records unchanged, including those that are not Examples."""
        for record, headers in records:
            decision = self._decision(record)
            if decision is not None and decision not in self._seen:
                self._seen.add(decision)
                mark = headers.get(MARK, b"")
                if mark.isdigit() and headers.get(TOPIC_MARK, b"") in self._ids:
                    self._marks.setdefault(record.partition, {})[decision] = int(mark)
            yield record

    def joined_again(self, topics: JoinTopics, join: OfflineJoin) -> dict[DecisionKey, bytes | None]:
        """For each marked decision, the example joined from the log and the letters; None if there is none.

        Only records before the mark count, because the replay did not know later ones.
        """
        found: dict[DecisionKey, bytes | None] = {}
        for partition, marks in self._marks.items():
            gathered = self._gather(topics, partition).decisions
            examples = by_request_id(seen for seen in self._seen if seen.request_id in gathered)
            for decision, mark in marks.items():
                of_one_id = gathered[decision.request_id]
                known = [record for record in of_one_id.records() if record.offset < mark]
                apart = partial(of_one_id.is_apart, examples[decision.request_id])
                verdicts = [join.join(one) for one in join.decisions(known, apart=apart) if one.key == decision]
                values = [verdict.value for verdict in verdicts if isinstance(verdict, OfflineExample)]
                found[decision] = values[0] if values else None
        return found

    def _decision(self, record: LogRecord) -> DecisionKey | None:
        try:
            decoded = self._codec.decode(record.value)
        except SchemaError:
            return None
        return DecisionKey.of_example(decoded.record) if decoded.name == EXAMPLE else None

    def _gather(self, topics: JoinTopics, partition: int) -> GatheredDecisions:
        marks = self._marks[partition]
        gathered = GatheredDecisions({decision.request_id for decision in marks})
        letters, held = topics.dead_letters.ranges()[partition], topics.events.ranges()[partition]
        for stored in read_dead_letters(topics.dead_letters.read({partition: letters}), self._codec):
            if stored.letter["topic"] == topics.events.topic:
                gathered.add_letter(stored)
        span = LogRange(held.start, min(held.end, max(marks.values())))
        for record in topics.events.read({partition: span}):
            gathered.add_record(record)
        return gathered
