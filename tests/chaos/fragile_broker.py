"""A real broker that clients reach through a forwarder, so that broker and network can fail independently."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka.admin import AdminClient

from tests.components.kafka_broker import KafkaBroker
from tests.components.tcp_forwarder import TcpForwarder

ANSWER_SECONDS = 20.0


class FragileBroker:
    """`direct` always reaches the broker and is for checks; `address` is for the processes exposed to faults."""

    def __init__(self, directory: Path) -> None:
        self.way = TcpForwarder()
        self.process = KafkaBroker(directory, forwarded_port=self.way.port)

    def __enter__(self) -> Self:
        self.process.start()
        self.way.open(self.process.behind)
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self.restore()
        self.way.close()
        self.process.stop()

    @property
    def direct(self) -> str:
        """`host:port` that bypasses the forwarder."""
        return self.process.bootstrap

    @property
    def address(self) -> str:
        """`host:port` through the forwarder."""
        return self.way.address

    def slow(self, latency: float, bytes_per_second: int) -> None:
        """Slow down all connections through the forwarder from now on."""
        self.way.latency, self.way.bytes_per_second = latency, bytes_per_second

    def cut(self) -> None:
        """End all connections and refuse new ones."""
        self.way.close()

    def mend(self) -> None:
        """Let clients through again."""
        self.way.open(self.process.behind)

    def restore(self) -> None:
        """Undo the faults left by a schedule that was aborted."""
        self.slow(0.0, 0)
        self.process.resume()

    def refuses(self) -> bool:
        """Whether `address` refuses connections."""
        return _refused(self.address)

    def is_down(self) -> bool:
        """Whether the broker itself is not listening."""
        return _refused(self.direct)

    def answer_seconds(self) -> float:
        """How long a new client waits for the list of topics."""
        began = time.monotonic()
        AdminClient({"bootstrap.servers": self.address}).list_topics(timeout=ANSWER_SECONDS)
        return time.monotonic() - began


def _refused(address: str) -> bool:
    host, port = address.rsplit(":", 1)
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((host, int(port))) != 0
