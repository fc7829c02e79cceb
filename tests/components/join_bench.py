"""Runs the join as a process on its own topics, and reads these topics, for end-to-end tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from confluent_kafka import Producer

from event_schemas.codec import Codec
from event_schemas.log_record import LogRecord
from event_schemas.records import Record
from event_schemas.registry import Registry
from stream_processors.audit.log_reader import LogReader
from tests.components.homefeed_log import SentEvent

COMMAND = (sys.executable, "-m", "trimtab")
WAIT_SECONDS = 90.0
ANY = -1
LARGEST_MESSAGE = 16 * 1_048_576


@dataclass
class JoinBench:
    """A topic prefix on a broker, an experiment file, and join workers started for it."""

    bootstrap: str
    prefix: str
    experiment_file: Path
    directory: Path
    session_seconds: float = 3.0
    kafka_identity: str | None = None
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def client_config(self) -> dict[str, str]:
        return {"bootstrap.servers": self.bootstrap}

    def environment(self) -> dict[str, str]:
        """The variables that point a `trimtab` command at this bench."""
        return {
            **os.environ,
            "TRIMTAB_KAFKA_BOOTSTRAP": self.bootstrap,
            "TRIMTAB_TOPIC_PREFIX": self.prefix,
            "TRIMTAB_EXPERIMENT": str(self.experiment_file),
            "TRIMTAB_DATA_DIR": str(self.directory / "var"),
            **({} if self.kafka_identity is None else {"TRIMTAB_KAFKA_IDENTITY": self.kafka_identity}),
        }

    def start_worker(self, *options: str) -> subprocess.Popen[bytes]:
        """A new `trimtab join` process; its stderr is in `log()`."""
        command = [*COMMAND, "join", "--session-seconds", str(self.session_seconds), *options]
        with self._log_file().open("ab") as output:
            worker = subprocess.Popen(command, env=self.environment(), stdout=output, stderr=output)
        self.workers.append(worker)
        return worker

    def stop_workers(self, number: signal.Signals = signal.SIGTERM) -> list[int]:
        """Signal all workers and wait for them; returns their exit codes."""
        for worker in self.workers:
            if worker.poll() is None:
                worker.send_signal(number)
        codes = [worker.wait(40) for worker in self.workers]
        self.workers.clear()
        return codes

    def run(self, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """A `trimtab` command, run to its end."""
        command = [*COMMAND, *arguments]
        return subprocess.run(command, env=self.environment(), capture_output=True, text=True, timeout=timeout)

    def send(self, events: Iterable[SentEvent], partition: int | None = None, topic: str = "events") -> int:
        """Write events, or records of another topic, as producers do; returns how many."""
        producer = Producer(
            {
                **self.client_config,
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
                "linger.ms": 10,
                "message.max.bytes": LARGEST_MESSAGE,
            }
        )
        sent = 0
        for event in events:
            producer.produce(f"{self.prefix}{topic}", event.value, event.key, ANY if partition is None else partition)
            sent += 1
            producer.poll(0)
        assert producer.flush(30) == 0
        return sent

    def close_windows(self, heartbeat: bytes) -> None:
        """A heartbeat into every partition."""
        for partition in self.reader("events").ranges():
            self.send([SentEvent(0, None, heartbeat)], partition)

    def reader(self, topic: str) -> LogReader:
        return LogReader(self.client_config, f"{self.prefix}{topic}")

    def records(self, topic: str) -> list[LogRecord]:
        return list(self.reader(topic).read_all())

    def decoded(self, topic: str) -> list[Record]:
        codec = Codec(Registry.bundled())
        return [codec.decode(record.value).record for record in self.records(topic)]

    def processed(self) -> Mapping[int, int]:
        """The offset up to which each partition is processed according to the group's commits."""
        return {p: at.settled for p, at in self.reader("events").committed(f"{self.prefix}join").items()}

    def wait_until_processed(self, seconds: float = WAIT_SECONDS) -> None:
        """Wait until the group has committed that all events are processed."""
        reader, group = self.reader("events"), f"{self.prefix}join"
        ends = {p: span.end for p, span in reader.ranges().items() if span.end}
        deadline = time.monotonic() + seconds
        while True:
            processed = {p: at.settled for p, at in reader.committed(group).items()}
            if all(processed.get(p, 0) >= end for p, end in ends.items()):
                return
            assert time.monotonic() < deadline, f"processed {processed} of {ends}; log:\n{self.log()}"
            time.sleep(0.3)

    def log(self) -> str:
        """What the workers wrote."""
        return self._log_file().read_text(encoding="utf-8", errors="replace")

    def _log_file(self) -> Path:
        return self.directory / "join.log"
