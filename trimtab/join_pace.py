"""The pace of commands that write what the join is to read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from event_schemas.topics import EVENTS, join_group
from event_schemas.units import MEBIBYTE
from trimtab.settings import Settings

if TYPE_CHECKING:
    from producers.replay import Pacer

UNREAD_BYTES = 2 * MEBIBYTE
"""What a partition may hold unread by the join; the embedded broker keeps 5 MiB."""
STALL_SECONDS = 60.0
"""A join that has not moved for this long does not run."""


@contextmanager
def paced_by_join(settings: Settings, partitions: int, unread_bytes: int = UNREAD_BYTES) -> Iterator[Pacer | None]:
    """Holds a writer of events back while a partition has more than so much unread; None, for 0, holds nobody back."""
    from producers.replay import KafkaReaderLag, LagPacer

    if unread_bytes == 0:
        yield None
        return
    group, topic = join_group(settings.topic_prefix), settings.topic(EVENTS)
    with closing(KafkaReaderLag(settings.kafka_client_config(), group, topic, partitions)) as lag:
        yield LagPacer(lag, unread_bytes, STALL_SECONDS)
