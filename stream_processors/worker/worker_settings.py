"""What a join worker is told at its start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Connection, topics and paces of one join worker."""

    client_config: Mapping[str, str]
    """Connection settings in librdkafka's names; `bootstrap.servers` at least, TLS and SASL where needed."""

    events: str
    """Full name of the topic to read."""

    examples: str
    """Full name of the topic for examples; at least as many partitions as `events`."""

    dead_letters: str
    """Full name of the topic for dead letters; at least as many partitions as `events`."""

    group: str
    """Consumer group; workers of one group share the partitions."""

    live: bool
    """Whether the wall clock may move the watermark: heartbeats are written at the end of the log."""

    producer_delay_ms: int
    """How far behind the wall clock a heartbeat stays, in milliseconds."""

    commit_seconds: float = 1.0
    """Pause between commits."""

    session_seconds: float = 10.0
    """A worker that is silent for so long loses its partitions to the others."""

    buffered_chunks: int = 4
    """Chunks of up to 5,000 records waiting between fetching and joining, over all partitions."""

    records_in_flight: int = 20_000
    """Output records handed to the client and not yet confirmed; reading waits beyond it."""

    delivery_seconds: float = 60.0
    """An output record that is not confirmed for so long ends the worker."""

    drain_seconds: float = 15.0
    """How long a stopping worker waits for confirmations before it leaves without them."""

    @property
    def written_topics(self) -> list[str]:
        """The topics that the worker writes to."""
        return [self.examples, self.dead_letters, *([self.events] if self.live else [])]
