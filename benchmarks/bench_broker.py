"""A private broker for one benchmark: it starts with an empty log and is deleted with its data at the end."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.event_stream import EventStream, StreamSettings
from benchmarks.input_log import InputLog, write_input
from benchmarks.kafka_broker import KafkaBroker
from event_schemas.codec import Codec
from event_schemas.experiment import load_experiment
from event_schemas.registry import Registry

JAVA = ("-Xms512m", "-Xmx1g")
REBALANCE_DELAY_MS = 3_000
"""Kafka's default: workers that start together share the partitions before any of them reads."""
EXPERIMENT = Path(__file__).with_name("homefeed.toml")


@dataclass(frozen=True, slots=True)
class BenchBroker:
    """A running broker, its process, and a directory for the files of a benchmark."""

    bootstrap: str
    pid: int | None
    directory: Path

    def write(self, prefix: str, settings: StreamSettings, experiment: Path = EXPERIMENT) -> InputLog:
        """Write a stream of events to topics under `prefix`."""
        stream = EventStream(load_experiment(experiment), Codec(Registry.bundled()), settings)
        tell(f"writing the events of {settings.requests:,} requests")
        return write_input(self.bootstrap, prefix, stream)


@contextmanager
def running_broker() -> Iterator[BenchBroker]:
    """Start the broker, and delete everything at the end; raises ComponentMissing."""
    directory = Path(tempfile.mkdtemp(prefix="trimtab-benchmark-"))
    broker = KafkaBroker(directory, java=JAVA, rebalance_delay_ms=REBALANCE_DELAY_MS)
    try:
        broker.start()
        yield BenchBroker(broker.bootstrap, broker.pid, directory)
    finally:
        broker.stop()
        shutil.rmtree(directory, ignore_errors=True)


def tell(line: str) -> None:
    """Write one line of progress to stderr."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
