"""Checks that the topics are still the ones the worker started with: same events topic, same number of partitions.

A topic that was deleted and created again starts at offset 0: continuing would skip records or join two different logs.
While a topic is missing, or the user may not see it, the worker is not ready.
Added partitions are not read until the group has noticed them. Their records cannot be joined until the output topics
have these partitions too, and decisions lose the engagements that went to another partition.
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
    """Id and number of partitions of `events`, and the smaller partition count of the two output topics."""

    identity: str
    partitions: int
    output_partitions: int


class TopicWatch:
    """Compares the topics' current state with the state at the worker's start.

    `look` reads the state from the broker and raises TrimtabError; it is called in another thread. `events` is the name
    of the topic.
    """

    def __init__(self, events: str, begun: TopicState, look: Callable[[], TopicState]) -> None:
        self.state = begun
        """The state when last read."""
        self.unread = 0
        """How many partitions of the topic the group does not know of yet."""
        self._fault: TrimtabError | None = None
        self._events = events
        self._look = look

    async def watch(self, known: Callable[[], int]) -> None:
        """Check regularly; `known` returns how many partitions the group knows of. Raises LogReplaced."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                now = await asyncio.to_thread(self._look)
            except ComponentUnreachable as fault:  # the clients that need the broker report it
                log.debug("topics not checked", what=fault.what)
            except TrimtabError as fault:
                self._take_fault(fault)
            else:
                self._fault = None
                self.take_in(now, known())

    def _take_fault(self, fault: TrimtabError) -> None:
        if self._fault is None or self._fault.what != fault.what:
            log.error("a topic is missing or inaccessible", what=fault.what, fix=fault.fix)
        self._fault = fault

    def take_in(self, now: TopicState, known: int) -> None:
        """Process a new state of the topics; the group knows of `known` partitions. Raises LogReplaced."""
        if now.identity != self.state.identity:
            raise LogReplaced(
                f"{self._events} was deleted and created again: its topic id was {self.state.identity} and is now"
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
            log.info("added partitions are now read", topic=self._events, partitions=now.partitions)

    def reasons(self) -> list[str]:
        """Why the worker is not ready; empty while the topics exist and the group knows all partitions."""
        reasons = [] if self._fault is None else [self._fault.what]
        if self.unread:
            added = f"{self.unread} of {self.state.partitions} partitions of {self._events}"
            reasons.append(f"{added} were added and are not read: see {GUIDE}")
        return reasons
