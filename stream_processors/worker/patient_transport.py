"""The transport, patient while a partition without a commit waits for its first seek.

On a rebalance aiokafka looks for the group's commit of a new partition by itself, and with `auto.offset.reset = none`
it raises when there is none. That may reach the reader before `seek_to_committed`, which Faust calls next, has said
where to read. Nothing is wrong then and nothing was read; only when it goes on is it an error.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from aiokafka.errors import NoOffsetForPartitionError
from faust.types import TP

from stream_processors.worker.batch_transport import BatchConsumer, BatchTransport

PATIENCE_SECONDS = 30.0
PAUSE_SECONDS = 0.1


class Patience:
    """How long in a row the same thing has gone wrong. `clock` counts seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: float | None = None

    def went_well(self) -> None:
        """It begins anew with the next fault."""
        self._since = None

    def ends(self) -> bool:
        """It went wrong again; whether that has lasted too long."""
        now = self._clock()
        self._since = now if self._since is None else self._since
        return now - self._since > PATIENCE_SECONDS


class PatientConsumer(BatchConsumer):
    """A `BatchConsumer` that reads nothing while a partition has no position yet."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._patience = Patience()

    async def _wait_next_records(self, timeout: float) -> tuple[Mapping[TP, list[Any]] | None, set[TP] | None]:
        try:
            found = await super()._wait_next_records(timeout)
        except NoOffsetForPartitionError:
            if self._patience.ends():
                raise
            await asyncio.sleep(PAUSE_SECONDS)
            return None, None
        self._patience.went_well()
        return found


class PatientTransport(BatchTransport):
    """The transport that the join's app returns."""

    Consumer: ClassVar[type[BatchConsumer]] = PatientConsumer
