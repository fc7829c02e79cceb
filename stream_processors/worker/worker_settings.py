"""The settings of a join worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """Connection, topics, limits and intervals of one join worker."""

    client_config: Mapping[str, str]
    """Connection settings in librdkafka's names; `bootstrap.servers` at least, TLS and SASL where needed."""

    events: str
    """Full name of the topic to read."""

    examples: str
    """Full name of the topic for examples; it needs at least as many partitions as `events`."""

    dead_letters: str
    """Full name of the topic for dead letters; it needs at least as many partitions as `events`."""

    group: str
    """Consumer group; workers of one group share the partitions."""

    live: bool
    """Whether the wall clock may move the watermark: the worker then writes heartbeats to idle partitions."""

    producer_delay_ms: int
    """How far behind the wall clock a heartbeat stays, in milliseconds."""

    commit_seconds: float = 1.0
    """Pause between commits."""

    session_seconds: float = 10.0
    """A worker that is silent for this many seconds loses its partitions to the others."""

    buffered_chunks: int = 4
    """Most chunks (of up to 5,000 records) that may wait between fetching and joining, over all partitions."""

    records_in_flight: int = 20_000
    """Most output records that may be passed to the client and unconfirmed; beyond it the join waits."""

    delivery_seconds: float = 60.0
    """The worker ends if an output record is not confirmed for this many seconds."""

    drain_seconds: float = 15.0
    """How long a stopping worker waits for confirmations before it stops without them."""

    @property
    def written_topics(self) -> list[str]:
        """The topics that the worker writes to."""
        return [self.examples, self.dead_letters, *([self.events] if self.live else [])]
