"""Plain Faust: an agent per event and a table with a changelog; event bytes are in the table, due times in memory.

Run with `python -m benchmarks.peers.faust_tables worker -l warn --without-web`.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from typing import Any

import faust

from benchmarks.peers.attribution_job import NAMES, PARTITIONS, WINDOW_MS, Job, build_example, decode, encode_example
from event_schemas import records as r

job = Job.from_environment()
app = faust.App(
    job.group,
    broker=f"kafka://{job.bootstrap}",
    store="memory://",
    topic_partitions=PARTITIONS,
    topic_replication_factor=1,
    consumer_auto_offset_reset="earliest",
    datadir=job.state_dir,
    web_enabled=False,
)
events = app.topic(job.events_topic, key_serializer="raw", value_serializer="raw", key_type=bytes, value_type=bytes)
examples = app.topic(job.output_topic, key_serializer="raw", value_serializer="raw", key_type=bytes, value_type=bytes)
raw: Any = faust.Schema(key_type=str, value_type=bytes, key_serializer="raw", value_serializer="raw")
held = app.Table("held", partitions=PARTITIONS, schema=raw)
"""Framed events by `request id/record name`, engagements with a number appended; a request's value starts with its
offset."""
OFFSET_BYTES = 8


class PartitionDues:
    """The watermark of a partition and a heap of its due times."""

    def __init__(self) -> None:
        self.watermark = 0
        self._due: list[tuple[int, str]] = []

    def add(self, time: int, request_id: str) -> None:
        heapq.heappush(self._due, (time + WINDOW_MS, request_id))

    def passed(self) -> list[str]:
        """Request ids whose due time the watermark has passed."""
        passed = []
        while self._due and self._due[0][0] <= self.watermark:
            passed.append(heapq.heappop(self._due)[1])
        return passed


dues: defaultdict[int, PartitionDues] = defaultdict(PartitionDues)


@app.agent(events)
async def join(stream: Any) -> None:
    """Store each event, then close the decisions that are due by its time."""
    async for event in stream.events():
        job.started()
        value, message = event.value, event.message
        record, of_partition = decode(value), dues[message.partition]
        of_partition.watermark = max(of_partition.watermark, record["event_time"])
        if NAMES[value[4]] != r.HEARTBEAT:
            hold(record, value, message, of_partition)
        for request_id in of_partition.passed():
            await close(request_id, message.partition, of_partition.watermark)


def hold(record: r.Record, value: bytes, message: Any, of_partition: PartitionDues) -> None:
    """Store one event in the table, unless it is there already."""
    name, request_id = NAMES[value[4]], record["request_id"]
    if name == r.REQUEST or f"{request_id}/{r.REQUEST}" not in held:
        of_partition.add(record["event_time"], request_id)
    if name == r.ENGAGEMENT:
        others = engagements_of(request_id)
        if all(other["engagement_id"] != record["engagement_id"] for other in others):
            held[f"{request_id}/{name}{len(others)}"] = value
    elif f"{request_id}/{name}" not in held:
        place = message.offset.to_bytes(OFFSET_BYTES, "big") if name == r.REQUEST else b""
        held[f"{request_id}/{name}"] = place + value


def engagements_of(request_id: str) -> list[r.Record]:
    """The stored engagements, in order of arrival."""
    found: list[r.Record] = []
    while (key := f"{request_id}/{r.ENGAGEMENT}{len(found)}") in held:
        found.append(decode(held[key]))
    return found


async def close(request_id: str, partition: int, watermark: int) -> None:
    """Close a decision whose request is due: send its example and remove its events from the table."""
    stored = held.get(f"{request_id}/{r.REQUEST}")
    request = None if stored is None else decode(stored[OFFSET_BYTES:])
    if request is not None and request["event_time"] + WINDOW_MS > watermark:
        return
    engagements = engagements_of(request_id)
    parts = {name: held.pop(f"{request_id}/{name}", None) for name in (r.REQUEST, r.ACTION, r.PROPENSITY)}
    for number in range(len(engagements)):
        held.pop(f"{request_id}/{r.ENGAGEMENT}{number}")
    if request is None or stored is None or parts[r.ACTION] is None or parts[r.PROPENSITY] is None:
        return
    records = {r.REQUEST: request, **{name: decode(parts[name]) for name in (r.ACTION, r.PROPENSITY)}}
    example = build_example(records, engagements, partition, int.from_bytes(stored[:OFFSET_BYTES], "big"))
    await examples.send(key=request_id.encode(), value=encode_example(example))


if __name__ == "__main__":
    app.main()
