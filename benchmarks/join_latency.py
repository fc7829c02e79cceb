"""`python -m benchmarks.join_latency`: measures the time from the close of a window until a reader has its example.

Events are sent in an open loop, each at its wall-clock time of arrival. A window closes with the first event of its
partition whose event time reaches the window's end. Latency is the time from passing that event to the producer until a
consumer receives the example.
"""

from __future__ import annotations

import bisect
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from benchmarks.bench_broker import BenchBroker, running_broker
from benchmarks.command_line import report, run_command
from benchmarks.event_stream import LONGEST_DELAY, EventStream, StreamSettings
from benchmarks.input_log import PARTITIONS, EventProducer, InputLog
from benchmarks.join_scaling import EVENTS_PER_REQUEST
from benchmarks.join_worker import JoinWorkerProcess
from benchmarks.results_folder import RESULTS, append_result
from event_schemas.codec import Codec
from event_schemas.experiment import load_experiment
from event_schemas.registry import Registry
from event_schemas.topics import EVENTS, topic_name
from producers.topics import create_topics
from producers.topics.key_partition import partition_of

EXPERIMENT = Path(__file__).with_name("homefeed_live.toml")
PREFIX = "latency."
BATCH, WAIT_SECONDS = 1_000, 0.005
LINGER_MS = 5
BOOT_SECONDS = 60.0
GRACE_SECONDS = 3.0
LEAD_SECONDS = 2.0


@dataclass
class WatermarkTrace:
    """A partition's watermark over time, computed from the events sent."""

    watermarks: list[int] = field(default_factory=list)
    instants: list[float] = field(default_factory=list)

    def sent(self, event_ms: int, instant: float) -> None:
        if not self.watermarks or event_ms > self.watermarks[-1]:
            self.watermarks.append(event_ms)
            self.instants.append(instant)

    def closed_at(self, window_end_ms: int) -> float | None:
        """When the event that closed this window was sent; None if none has been."""
        place = bisect.bisect_left(self.watermarks, window_end_ms)
        return None if place == len(self.instants) else self.instants[place]


class ExampleReader(threading.Thread):
    """Reads the examples topic and notes when each value arrived."""

    def __init__(self, log: InputLog) -> None:
        super().__init__(daemon=True, name="example-reader")
        self.seen: list[tuple[float, int, bytes]] = []
        """Instant, partition, value."""
        self._ended = threading.Event()
        self._consumer = Consumer(
            {"bootstrap.servers": log.bootstrap, "group.id": "latency-reader", "fetch.wait.max.ms": 10}
        )
        self._consumer.assign(
            [TopicPartition(log.examples_topic, partition, OFFSET_BEGINNING) for partition in range(PARTITIONS)]
        )

    def run(self) -> None:
        while not self._ended.is_set():
            messages = self._consumer.consume(BATCH, WAIT_SECONDS)
            now = time.time()
            for message in messages:
                partition, value = message.partition(), message.value()
                if message.error() is None and partition is not None and value is not None:
                    self.seen.append((now, partition, value))

    def stop(self) -> None:
        self._ended.set()
        self.join()
        self._consumer.close()


@dataclass(frozen=True, slots=True)
class OpenLoop:
    """What was sent: the watermarks, and the number of events after the warm-up, from `start` to `end`."""

    traces: list[WatermarkTrace]
    events: int
    start: float
    end: float


def send_open_loop(stream: EventStream, producer: EventProducer, seconds: float) -> OpenLoop:
    """Send every event at its time of arrival, no matter how far behind the join is, until `seconds` after warm-up."""
    traces, warm_events = [WatermarkTrace() for _ in range(PARTITIONS)], 0
    start = stream.settings.start_ms / 1000 + warm_up_s(stream)
    for event in stream.events():
        due = event.arrival_ms / 1000
        if due >= start + seconds:
            break
        time.sleep(max(0.0, due - time.time()))
        producer.send(event.key, event.value)
        traces[partition_of(event.key, PARTITIONS)].sent(event.event_ms, time.time())
        warm_events += due >= start
    end = time.time()
    producer.flush()
    return OpenLoop(traces, warm_events, start, end)


def warm_up_s(stream: EventStream) -> float:
    """How long it takes until engagements arrive and windows close at a constant rate."""
    return LONGEST_DELAY * stream.experiment.window_ms / 1000


def latencies(seen: list[tuple[float, int, bytes]], sent: OpenLoop) -> list[float]:
    """Seconds from window close to arrival, for every example whose window closed after the warm-up."""
    codec, found = Codec(Registry.bundled()), []
    for instant, partition, value in seen:
        closed = sent.traces[partition].closed_at(codec.decode(value).record["outcome"]["window_closed_at"])
        if closed is not None and closed >= sent.start:
            found.append(instant - closed)
    return found


def measure(broker: BenchBroker, events_per_s: float, seconds: float) -> dict[str, Any]:
    """Run one open loop against a worker that is already running."""
    experiment, codec = load_experiment(EXPERIMENT), Codec(Registry.bundled())
    create_topics({"bootstrap.servers": broker.bootstrap}, PREFIX, PARTITIONS, 1)
    requests_per_s = events_per_s / EVENTS_PER_REQUEST
    log = InputLog(broker.bootstrap, PREFIX, 0, 0, 0, EventStream(experiment, codec, StreamSettings(0)).reference)
    worker, reader = JoinWorkerProcess(log, broker.directory / "latency", experiment=EXPERIMENT), ExampleReader(log)
    reader.start()
    try:
        deadline = time.monotonic() + BOOT_SECONDS
        while worker.taken_at() is None and time.monotonic() < deadline:
            time.sleep(0.2)
        ample = round(requests_per_s * (seconds + 2 * LONGEST_DELAY * experiment.window_ms / 1000))
        start_ms = int((time.time() + LEAD_SECONDS) * 1000)
        stream = EventStream(experiment, codec, StreamSettings(ample, requests_per_s, start_ms=start_ms))
        producer = EventProducer(broker.bootstrap, topic_name(PREFIX, EVENTS), LINGER_MS)
        sent = send_open_loop(stream, producer, seconds)
        time.sleep(GRACE_SECONDS)
    finally:
        reader.stop()
        worker.stop()
    found = latencies(reader.seen, sent)
    p50, p99, most = np.percentile(found, [50, 99, 100]) if found else (float("nan"),) * 3
    return {
        "events_per_s": round(sent.events / (sent.end - sent.start), 1),
        "examples": len(found),
        "p50_s": round(float(p50), 4),
        "p99_s": round(float(p99), 4),
        "max_s": round(float(most), 4),
    }


def main(
    events_per_s: Annotated[float, typer.Option(min=1.0, help="Events per second sent.")] = 5_000.0,
    seconds: Annotated[int, typer.Option(min=1, help="How long to measure, after a warm-up of 33 s.")] = 60,
    results: Annotated[Path, typer.Option(help="Folder for the figures.")] = RESULTS,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Measure the latency from the close of a window until its example is readable.

    Example: python -m benchmarks.join_latency --events-per-s 5000 --json
    """
    with running_broker() as broker:
        result = measure(broker, events_per_s, seconds)
    append_result(results, "join_latency", result)
    report(result, as_json)


if __name__ == "__main__":
    run_command(main)
