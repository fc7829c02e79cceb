"""A confluent-kafka producer that raises nothing once it is made, and says whether it can continue.

librdkafka's idempotent producer dies of faults such as a missing Write right: it raises the fault once, from whichever
call polls it, and cannot be used afterwards. A forked child must not touch its parent's client at all.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from event_schemas.process_fork import keep_forever, renew_in_children
from event_schemas.topics import OUTPUT_BYTES
from producers.delivery.outgoing_event import OutgoingEvent
from producers.topics.kafka_connection import creating_client

ClientSetting = str | int | float | bool
DeliveryReport = Callable[[KafkaError | None, Message], None]

ANY_PARTITION = -1
# A full queue has 100,000 reports to serve, each with a write to the spool: that takes seconds on a slow disk.
GIVE_UP_ROUNDS = 30
RELEASE_SECONDS = 2.0
REQUIRED: dict[str, ClientSetting] = {"enable.idempotence": True, "partitioner": "murmur2_random"}
OUTPUT_MESSAGE_BYTES = 2 * OUTPUT_BYTES
"""`message.max.bytes` for outputs: more than their topics take, so that the broker decides and not the client."""


class KafkaClient:
    """An idempotent producer. Thread-safe.

    `client_config` holds librdkafka settings, `logger` names the logger of its log lines, and `on_error` is called for
    faults that are not fatal. `look_seconds` is how often `registered` is updated; 0 means never. Raises SettingError.
    """

    def __init__(
        self,
        client_config: Mapping[str, ClientSetting],
        logger: str = "trimtab.producers",
        on_error: Callable[[KafkaError], None] = lambda _: None,
        look_seconds: float = 0.0,
    ) -> None:
        self.fault: KafkaError | None = None
        """The fault that ended this client; it cannot be used any more."""
        self.registered = False
        """Whether the broker has given it a producer id, as of the last update."""
        config: dict[str, Any] = {**client_config, **REQUIRED, "error_cb": on_error}
        if look_seconds:
            config |= {"statistics.interval.ms": int(look_seconds * 1_000), "stats_cb": self._look}
        lines = logging.getLogger(logger)
        lines.addFilter(_is_news)
        with creating_client():
            self._producer: Producer | None = Producer(config, logger=lines)
        renew_in_children(self)

    def __len__(self) -> int:
        """Messages in flight and reports not served yet."""
        return 0 if self._producer is None else len(self._producer)

    def produce(
        self, event: OutgoingEvent, on_delivery: DeliveryReport, headers: Sequence[tuple[str, bytes]] = ()
    ) -> KafkaError | None:
        """Queues the event; returns the fault when the client refuses it, and then there is no report."""
        producer = self._producer
        if producer is None:
            return KafkaError(KafkaError._STATE, "the client is gone")
        partition = ANY_PARTITION if event.partition is None else event.partition
        try:
            producer.produce(event.topic, event.value, event.key, partition, on_delivery, headers=list(headers) or None)
        except BufferError:
            return KafkaError(KafkaError._QUEUE_FULL)
        except KafkaException as refused:
            fault: KafkaError = refused.args[0]
            return fault
        except (ValueError, TypeError, OverflowError) as refused:  # a topic or partition that C cannot represent
            return KafkaError(KafkaError._INVALID_ARG, str(refused))
        return None

    def produce_batch(
        self, topic: str, messages: list[dict[str, Any]], partition: int, on_delivery: DeliveryReport
    ) -> dict[int, KafkaError]:
        """Queues messages with `key` and `value`; returns the faults of refused messages, by index."""
        producer = self._producer
        if producer is None:
            return dict.fromkeys(range(len(messages)), KafkaError(KafkaError._STATE, "the client is gone"))
        try:
            queued = producer.produce_batch(topic, messages, partition=partition, on_delivery=on_delivery)
        except KafkaException as refused:
            return dict.fromkeys(range(len(messages)), refused.args[0])
        if queued == len(messages):
            return {}
        return {place: message["_error"] for place, message in enumerate(messages) if "_error" in message}

    def poll(self, seconds: float) -> None:
        """Serves delivery reports, waiting at most `seconds` for one."""
        self._serve(lambda producer: producer.poll(seconds))

    def flush(self, seconds: float) -> int:
        """Waits at most `seconds` until nothing is in flight; returns how many messages still are."""
        return self._serve(lambda producer: producer.flush(seconds))

    def cluster(self, topic: str, seconds: float) -> str | None:
        """The id of the cluster, "" if it has none; None when no broker answers in time.

        The request names `topic`, because the answer about all topics can be large; "" means all.
        """
        producer = self._producer
        try:
            return None if producer is None else producer.list_topics(topic or None, seconds).cluster_id or ""
        except (KafkaException, ValueError):
            return None

    def cause(self, fault: KafkaError) -> KafkaError:
        """The fault itself, or, if it only says that the client is dead, the fault that killed it; serves reports."""
        if fault.code() == KafkaError._FATAL:
            self.poll(0.0)
        return fault if fault.code() != KafkaError._FATAL or self.fault is None else self.fault

    def give_up(self) -> None:
        """Fails the messages still in flight, and serves their reports."""
        if self._producer is not None:
            self._producer.purge()
            for _ in range(GIVE_UP_ROUNDS):
                if not self.flush(1.0):
                    return

    def release(self) -> None:
        """Ends librdkafka's threads and connections; returns after two seconds even if that takes longer.

        Messages in flight get no report any more: call `give_up` first.
        """
        releasing = threading.Thread(target=self._release, name="trimtab-kafka-release", daemon=True)
        try:
            releasing.start()
            releasing.join(RELEASE_SECONDS)
        except RuntimeError:  # no more threads: the interpreter is ending
            self._release()

    def after_fork(self) -> None:
        """Keeps the parent's client alive, unused: destroying it in the child would wait for threads it lacks."""
        if self._producer is not None:
            keep_forever(self._producer)
            self._producer = None
        self.fault = KafkaError(KafkaError._STATE, "the client belongs to the parent process")

    def _release(self) -> None:
        self._producer = None

    def _serve(self, call: Callable[[Producer], int]) -> int:
        producer = self._producer
        if producer is None:
            return 0
        try:
            return call(producer)
        except KafkaException as raised:
            self.fault = self.fault or raised.args[0]
            return len(producer)

    def _look(self, statistics: str) -> None:
        if not self.registered:
            self.registered = json.loads(statistics).get("eos", {}).get("idemp_state") == "Assigned"


def _is_news(line: logging.LogRecord) -> bool:
    """False for fatal faults: `fault` reports those, and every client that a missing right kills would log one."""
    return not line.getMessage().startswith("FATAL ")
