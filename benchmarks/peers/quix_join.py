"""Quix Streams: one stateful step per event on the partition's store; the partition's watermark closes all windows.

The step uses the internal store API, because a state of the public API belongs to one key. There, only session windows
close by the partition's watermark, and they are ten times slower than this.
"""

from __future__ import annotations

from typing import Any

from quixstreams import Application
from quixstreams.context import message_context
from quixstreams.models import Serializer

from benchmarks.peers.attribution_job import LATENESS_MS, NAMES, WINDOW_MS, Job, build_example, decode, encode_example
from event_schemas import records as r

BUCKET_MS = 1_000
job = Job.from_environment()


class DecisionStep:
    """Stores parts under `record name + request id`, and due request ids in buckets of one second."""

    def __init__(self, frame: Any) -> None:
        self._frame = frame
        self._reached: dict[int, int] = {}

    def __call__(self, value: bytes, *_: Any) -> list[tuple[str, bytes]]:
        job.started()
        place, name, record = message_context(), NAMES[value[4]], decode(value)
        state = self._state(place.partition)
        event_time = record["event_time"]
        if name != r.HEARTBEAT:
            self._hold(state, name, record, place.offset)
        high = max(event_time, state.get("high", 0))
        state.set("high", high)
        now = high // BUCKET_MS
        reached = self._reached.setdefault(place.partition, state.get("reached", now - 2 * LATENESS_MS // BUCKET_MS))
        done = [
            example for bucket in range(reached + 1, now + 1) for example in self._close(state, bucket, place.partition)
        ]
        if now > reached:
            self._reached[place.partition] = now
            state.set("reached", now)
        return done

    def _state(self, partition: int) -> Any:
        checkpoint = self._frame.processing_context.checkpoint
        store = checkpoint.get_store_transaction(stream_id=self._frame.stream_id, partition=partition)
        return store.as_state(prefix=b"p")

    def _hold(self, state: Any, name: str, record: r.Record, offset: int) -> None:
        request_id = record["request_id"]
        if name == r.ENGAGEMENT:
            held = state.get(name + request_id, {})
            held[record["engagement_id"]] = record
            state.set(name + request_id, held)
        elif not state.exists(name + request_id):
            state.set(name + request_id, {**record, "offset": offset} if name == r.REQUEST else record)
        if name == r.REQUEST or not state.exists(r.REQUEST + request_id):
            bucket = f"due{(record['event_time'] + WINDOW_MS) // BUCKET_MS + 1}"
            state.set(bucket, [*state.get(bucket, []), request_id])

    def _close(self, state: Any, bucket: int, partition: int) -> list[tuple[str, bytes]]:
        examples = []
        for request_id in state.get(f"due{bucket}", []):
            request = state.get(r.REQUEST + request_id)
            if request is not None and (request["event_time"] + WINDOW_MS) // BUCKET_MS + 1 > bucket:
                continue
            parts = {name: state.get(name + request_id) for name in (r.ACTION, r.PROPENSITY)}
            engagements = state.get(r.ENGAGEMENT + request_id, {})
            for name in (r.REQUEST, r.ACTION, r.PROPENSITY, r.ENGAGEMENT):
                state.delete(name + request_id)
            if request is not None and all(parts.values()):
                offset = request.pop("offset")
                example = build_example({r.REQUEST: request, **parts}, engagements.values(), partition, offset)
                examples.append((request_id, encode_example(example)))
        state.delete(f"due{bucket}")
        return examples


class SecondOfPair(Serializer):  # type: ignore[misc]  # untyped here: it lives in the peers' environment
    """A step yields (request id, framed example); the first becomes the key, the second the value."""

    def __call__(self, value: tuple[str, bytes], ctx: Any) -> bytes:  # noqa: ARG002  # the name is Quix's
        return value[1]


def main() -> None:
    app = Application(
        broker_address=job.bootstrap,
        consumer_group=job.group,
        auto_offset_reset="earliest",
        state_dir=job.state_dir,
        loglevel="WARNING",
    )
    events = app.topic(job.events_topic, value_deserializer="bytes", key_deserializer="bytes")
    frame = app.dataframe(events)
    frame.register_store()
    examples = app.topic(job.output_topic, value_serializer=SecondOfPair(), key_serializer="str")
    frame = frame.apply(DecisionStep(frame), metadata=True, expand=True)
    frame.to_topic(examples, key=lambda pair: pair[0])
    app.run()


if __name__ == "__main__":
    main()
