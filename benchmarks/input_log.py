"""The input on the broker: one topic of events in the contract's encoding, written once and read by every peer."""

from __future__ import annotations

import time
from dataclasses import dataclass

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient

from benchmarks.event_stream import EventStream
from benchmarks.example_tally import ExampleTally
from event_schemas.errors import TrimtabError
from event_schemas.topics import DEAD_LETTERS, EVENTS, EXAMPLES, TOPICS, join_group, topic_name
from producers.topics import create_topics
from stream_processors.audit import LogReader

PARTITIONS = 4
FLUSH_SECONDS = 120.0
ANSWER_SECONDS = 30.0
POLL_EVERY = 1_000


class InputIncomplete(TrimtabError):
    """The broker does not have all events that were written."""


@dataclass(frozen=True, slots=True)
class InputLog:
    """Topics under `prefix`, the number of events in them (including heartbeats) and the expected examples.

    `part_bytes` is the total size of requests, actions and propensities, which every open decision contains.
    """

    bootstrap: str
    prefix: str
    requests: int
    events: int
    part_bytes: int
    reference: ExampleTally

    @property
    def events_topic(self) -> str:
        return topic_name(self.prefix, EVENTS)

    @property
    def examples_topic(self) -> str:
        """Where `trimtab join` writes."""
        return topic_name(self.prefix, EXAMPLES)

    @property
    def group(self) -> str:
        """The consumer group of `trimtab join`."""
        return join_group(self.prefix)

    @property
    def client_config(self) -> dict[str, str]:
        return {"bootstrap.servers": self.bootstrap}


class EventProducer:
    """Writes events like a real producer: idempotent, partitioned by murmur2 of the key."""

    def __init__(self, bootstrap: str, topic: str, linger_ms: int = 50) -> None:
        self.topic = topic
        self.events = 0
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
                "linger.ms": linger_ms,
                "batch.size": 262_144,
                "queue.buffering.max.messages": 200_000,
            }
        )

    def send(self, key: bytes | None, value: bytes, partition: int = -1) -> None:
        """Pass one event to the client, waiting while its queue is full."""
        while True:
            try:
                self._producer.produce(self.topic, value, key, partition)
                break
            except BufferError:
                self._producer.poll(0.05)
        self.events += 1
        if self.events % POLL_EVERY == 0:
            self._producer.poll(0)

    def flush(self) -> None:
        """Wait until the broker has stored everything; raises InputIncomplete."""
        left = self._producer.flush(FLUSH_SECONDS)
        if left:
            raise InputIncomplete(
                f"{left} of {self.events} events are not in {self.topic}", fix="check the broker's log and disk"
            )


def write_input(bootstrap: str, prefix: str, stream: EventStream) -> InputLog:
    """Create the topics, write the whole stream, and then write heartbeats that close all windows."""
    create_topics({"bootstrap.servers": bootstrap}, prefix, PARTITIONS, 1)
    producer = EventProducer(bootstrap, topic_name(prefix, EVENTS))
    for event in stream.events():
        producer.send(event.key, event.value)
    producer.flush()
    for partition in range(PARTITIONS):
        producer.send(None, stream.heartbeat(), partition)
    producer.flush()
    ranges = LogReader({"bootstrap.servers": bootstrap}, producer.topic).ranges()
    held = sum(span.end - span.start for span in ranges.values())
    if held != producer.events:
        raise InputIncomplete(f"{producer.topic} has {held} of {producer.events} events", fix="run the benchmark again")
    requests = stream.settings.requests
    return InputLog(bootstrap, prefix, requests, producer.events, stream.part_bytes, stream.reference)


def forget_outputs(log: InputLog) -> None:
    """Prepare the input for another run of `trimtab join`: empty output topics, no consumer group."""
    _delete_topics(log.bootstrap, [topic_name(log.prefix, topic) for topic in (EXAMPLES, DEAD_LETTERS)])
    _delete_group(log)
    create_topics(log.client_config, log.prefix, PARTITIONS, 1)


def delete_input(log: InputLog) -> None:
    """Delete the topics to free their disk space."""
    _delete_topics(log.bootstrap, [topic_name(log.prefix, topic) for topic in TOPICS])


def delete_topics_of(bootstrap: str, run: str) -> None:
    """Delete every topic with `run` in its name: the peer's output and its internal topics."""
    names = AdminClient({"bootstrap.servers": bootstrap}).list_topics(timeout=ANSWER_SECONDS).topics
    _delete_topics(bootstrap, [name for name in names if run in name])


def _delete_topics(bootstrap: str, names: list[str]) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    existing = admin.list_topics(timeout=ANSWER_SECONDS).topics
    doomed = [name for name in names if name in existing]
    if not doomed:
        return
    for answer in admin.delete_topics(doomed, operation_timeout=ANSWER_SECONDS).values():
        answer.result()
    while set(doomed) & admin.list_topics(timeout=ANSWER_SECONDS).topics.keys():
        time.sleep(0.1)


def _delete_group(log: InputLog) -> None:
    admin = AdminClient({"bootstrap.servers": log.bootstrap})  # a local variable: the futures need the client alive
    for answer in admin.delete_consumer_groups([log.group], request_timeout=ANSWER_SECONDS).values():
        try:
            answer.result()
        except KafkaException as fault:
            if fault.args[0].code() != KafkaError.GROUP_ID_NOT_FOUND:
                raise
