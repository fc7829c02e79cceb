"""Whether the topics are still those that the worker started on: the same events topic, with as many partitions.

A topic that was deleted and created again counts its offsets anew: going on would skip records or join two logs into
one. A topic that is gone, or that the user may no longer see, stays a reason not to be ready until it is back.
Partitions that were added are not read until the group has noticed them. Their records cannot be joined while the
output topics have no such partitions, and decisions miss the engagements that went there meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from event_schemas.errors import ComponentUnreachable, TrimtabError
from stream_processors.partition.commit_position import BEGIN_ANEW, LogReplaced

LOOK_SECONDS = 15.0
GUIDE = "docs/guides/operating_the_join.md, 'Partitions were added'"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class TopicState:
    """What the broker says of the topics: the id and the partitions of `events`, and those of its narrower output."""

    identity: str
    partitions: int
    output_partitions: int


class TopicWatch:
    """Compares what `look` finds with how it was when the worker began.

    `look` asks the broker and raises TrimtabError; it is called from a thread. `events` is the topic's name.
    """

    def __init__(self, events: str, begun: TopicState, look: Callable[[], TopicState]) -> None:
        self.state = begun
        """As last seen."""
        self.unread = 0
        """Partitions of the topic that the group does not know of."""
        self._fault: TrimtabError | None = None
        self._events = events
        self._look = look

    async def watch(self, known: Callable[[], int]) -> None:
        """Look now and then; `known` tells how many partitions the group knows of. Raises LogReplaced."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                now = await asyncio.to_thread(self._look)
            except ComponentUnreachable as fault:  # told of by those who need the broker
                log.debug("topics not seen", what=fault.what)
            except TrimtabError as fault:
                self._take_fault(fault)
            else:
                self._fault = None
                self.take_in(now, known())

    def _take_fault(self, fault: TrimtabError) -> None:
        if self._fault is None or self._fault.what != fault.what:
            log.error("topics are not as they were", what=fault.what, fix=fault.fix)
        self._fault = fault

    def take_in(self, now: TopicState, known: int) -> None:
        """Take in what was found while the group knows of `known` partitions. Raises LogReplaced."""
        if now.identity != self.state.identity:
            raise LogReplaced(
                f"{self._events} was deleted and created again: its topic id was {self.state.identity}, it is now"
                f" {now.identity}",
                fix=BEGIN_ANEW,
            )
        self.state, before = now, self.unread
        self.unread = max(0, now.partitions - known)
        if self.unread > before:
            log.error(
                "partitions were added",
                topic=self._events,
                partitions=now.partitions,
                unread=self.unread,
                of_outputs=now.output_partitions,
                fix=f"see {GUIDE}",
            )
        elif before and not self.unread:
            log.info("added partitions are read now", topic=self._events, partitions=now.partitions)

    def reasons(self) -> list[str]:
        """Why the worker does not do its share now; empty while the topics are there and all of them are known."""
        reasons = [] if self._fault is None else [self._fault.what]
        if self.unread:
            added = f"{self.unread} of {self.state.partitions} partitions of {self._events}"
            reasons.append(f"{added} were added and are not read: see {GUIDE}")
        return reasons
