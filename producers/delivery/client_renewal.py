"""Replaces the Kafka client of a delivery when it dies.

1. A dead client is taken out of service; from then on there is no client, and events are refused at once.
2. On a separate thread its queued events are reported as failed, and it is released.
3. After a pause, which doubles from 0.5 s up to 3 s, a new client takes its place. So a right that was granted in the
   meantime is noticed soon, but a right that stays missing does not create clients in a tight loop.
4. The new client counts as working once the broker has given it a producer id.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from confluent_kafka import KafkaError

from event_schemas.errors import TrimtabError
from producers.delivery.delivery_health import ANY_TOPIC, DeliveryHealth
from producers.delivery.kafka_client import DeliveryReport, KafkaClient
from producers.delivery.outgoing_event import OutgoingEvent

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 3.0
LOOK_SECONDS = 0.5
BURIAL_SECONDS = 30.0
NO_CLIENT = KafkaError(KafkaError._STATE, "there is no client at the moment")


class ClientRenewal:
    """The client in service, if any. `produce` may be called from any thread, the rest from one at a time.

    `build(look_seconds)` makes a client; if it raises, that counts as a client that died at once. `clock` is in
    seconds.
    """

    def __init__(
        self,
        build: Callable[[float], KafkaClient],
        health: DeliveryHealth,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._build = build
        self._health = health
        self._clock = clock
        self._gate = threading.Lock()
        self._current: KafkaClient | None = None
        self._well = True
        self._pause = FIRST_PAUSE
        self._due: float | None = None
        self._burials: list[threading.Thread] = []

    @property
    def current(self) -> KafkaClient | None:
        """The client in service."""
        return self._current

    def open(self) -> None:
        """Puts the first client in service; it counts as working until it dies. Raises SettingError."""
        self._current = self._build(0.0)

    def produce(self, event: OutgoingEvent, on_delivery: DeliveryReport) -> KafkaError | None:
        """Queues the event; returns the fault when there is no client or the client refuses it."""
        with self._gate:
            return NO_CLIENT if self._current is None else self._current.produce(event, on_delivery)

    def tend(self) -> None:
        """Takes a dead client out of service, and puts the next one into service when it is due. Call this often."""
        client = self._current
        if client is not None and client.fault is not None:
            self.retire(self._health.in_words(ANY_TOPIC, client.fault))
        elif client is None and self._due is not None and self._clock() >= self._due:
            self._replace()
        elif client is not None and not self._well and client.registered:
            self._well, self._pause = True, FIRST_PAUSE
            self._health.works()

    def retire(self, reason: str) -> None:
        """Runs steps 1 and 2 for the client in service, and starts the pause of step 3."""
        self._health.died(reason)
        self._well = False
        self._due = self._clock() + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        with self._gate:
            dead, self._current = self._current, None
        if dead is not None:
            burials = [*self._burials, _buried(dead)]
            self._burials = [each for each in burials if each is not None and each.is_alive()]

    def close(self) -> None:
        """Fails the events still queued in the client, releases it, and waits for its predecessors to be released."""
        with self._gate:
            last, self._current = self._current, None
        self._due = None
        if last is not None:
            last.give_up()
            last.release()
        for burial in self._burials:
            burial.join(BURIAL_SECONDS)

    def _replace(self) -> None:
        try:
            self._current = self._build(LOOK_SECONDS)
        except TrimtabError as refused:
            self.retire(refused.what)


def _buried(dead: KafkaClient) -> threading.Thread | None:
    """Ends a dead client on the returned thread, or at once if the interpreter can no longer start threads."""

    def bury() -> None:
        dead.give_up()
        dead.release()

    burial = threading.Thread(target=bury, name="trimtab-kafka-burial", daemon=True)
    try:
        burial.start()
    except RuntimeError:
        bury()
        return None
    return burial
