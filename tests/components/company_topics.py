"""A company's own topics of engagements: a JSON topic with ids, an Avro topic without, and what their rows mean."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]
from fastavro import parse_schema, schemaless_writer

from event_schemas.codec import frame
from tests.components.homefeed_log import MINUTE

PARTITIONS = 3
ACTIONS, SAVES = "company.actions", "company.saves"
KINDS = {"PIN_SAVE": "repin", "PIN_CLICK": "click", "PIN_LONG_CLICK": "long_click"}
SAVE_SCHEMA = {
    "type": "record",
    "name": "Save",
    "fields": [
        {"name": "request", "type": {"type": "record", "name": "Req", "fields": [{"name": "id", "type": "string"}]}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "pin", "type": ["null", "long"], "default": None},
    ],
}
SECTIONS = """
[[bridge]]
topic = "company.actions"
time_unit = "s"
other_kinds = "ignore"
[bridge.fields]
request_id = "context.request_id"
event_time = "ts"
kind = "type"
engagement_id = "id"
item_id = "pin.id"
[bridge.kinds]
PIN_SAVE = "repin"
PIN_CLICK = "click"
PIN_LONG_CLICK = "long_click"

[[bridge]]
topic = "company.saves"
format = "avro"
schema_file = "save.avsc"
[bridge.fields]
request_id = "request.id"
event_time = "at"
item_id = "pin"
[bridge.defaults]
kind = "repin"
"""


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One record of a source topic, and what it means; `request_id` is None if it cannot be read."""

    topic: str
    key: bytes | None
    value: bytes | None
    request_id: str | None = None
    kind: str | None = None
    event_time: int = 0
    own_id: str | None = None


class CompanyTopics:
    """Rows about the given decisions, the same for the same seed; one row in twenty cannot be read."""

    def __init__(self, request_times: dict[str, int], seed: int = 11) -> None:
        self._request_times = request_times
        self._seed = seed

    def rows(self) -> Iterator[SourceRow]:
        """The rows in the order they are sent; one action in ten is sent twice, unchanged."""
        draw = random.Random(self._seed)
        number = 0
        for request_id, time in self._request_times.items():
            for _ in range(draw.choice((0, 1, 2, 3, 4))):
                number += 1
                if draw.random() < 0.05:
                    yield self._garbage(draw)
                elif draw.random() < 0.3:
                    yield self._save(request_id, time + draw.randrange(34 * MINUTE), number)
                else:
                    row = self._action(request_id, time + draw.randrange(34 * 60) * 1000, number, draw)
                    yield from [row] * (2 if draw.random() < 0.1 else 1)

    def _action(self, request_id: str, time: int, number: int, draw: random.Random) -> SourceRow:
        kind, time = draw.choice([*KINDS, "IMPRESSION"]), time // 1000 * 1000
        said = {"id": number, "context": {"request_id": request_id}, "ts": time // 1000, "type": kind, "pin": {}}
        value = json.dumps(said).encode()
        return SourceRow(ACTIONS, f"u{number}".encode(), value, request_id, KINDS.get(kind), time, str(number))

    def _save(self, request_id: str, time: int, number: int) -> SourceRow:
        sink = io.BytesIO()
        said = {"request": {"id": request_id}, "at": time * 1000, "pin": number}
        schemaless_writer(sink, _physical(), said)
        return SourceRow(SAVES, None, frame(99, sink.getvalue()), request_id, "repin", time)

    def _garbage(self, draw: random.Random) -> SourceRow:
        return draw.choice(
            [
                SourceRow(ACTIONS, b"user", None),
                SourceRow(ACTIONS, None, b'{"type": "PIN_SAVE", "ts": 1}'),
                SourceRow(ACTIONS, None, b'{"id": 1'),
                SourceRow(SAVES, b"\xff\xfe", draw.randbytes(12)),
                SourceRow(SAVES, None, b"\x00\x00\x00\x00\x63\x04"),
            ]
        )


def _physical() -> Any:
    return parse_schema(json.loads(json.dumps(SAVE_SCHEMA).replace("timestamp-micros", "none")))


def create_source(bootstrap: str, *topics: str, partitions: int = PARTITIONS) -> None:
    """Create source topics, as a company's own systems would."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for answer in admin.create_topics([NewTopic(topic, partitions, 1) for topic in topics]).values():
        answer.result()


class SourceProducer:
    """Writes rows as a company's own systems would; `places` maps topic, partition and offset to the row."""

    def __init__(self, bootstrap: str) -> None:
        self._producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5})
        self.places: dict[tuple[str, int, int], SourceRow] = {}

    def send(self, rows: Iterator[SourceRow] | list[SourceRow]) -> None:
        for row in rows:
            self._producer.produce(row.topic, row.value, row.key, on_delivery=self._stored(row))
        assert self._producer.flush(30) == 0

    def _stored(self, row: SourceRow) -> Any:
        def stored(fault: Any, message: Any) -> None:
            assert fault is None, fault
            self.places[message.topic(), message.partition(), message.offset()] = row

        return stored
