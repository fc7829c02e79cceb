"""The health of a supervisor: that of its workers, which it requests over HTTP whenever it is probed itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from stream_processors.worker import ALIVE_SECONDS
from trimtab.worker_supervisor import WorkerSlot, WorkerSupervisor

ANSWER_SECONDS = 1.0
START_SECONDS = 30.0
"""Time for a new worker to load its libraries, before which its port is closed."""


class WorkerProbes:
    """Answers probes of a supervisor whose workers serve `/healthz` and `/readyz` at `urls`, by worker number."""

    def __init__(self, supervisor: WorkerSupervisor, urls: Mapping[int, str], clock: Callable[[], float]) -> None:
        self._supervisor = supervisor
        self._urls = urls
        self._clock = clock

    def unhealthy(self) -> list[str]:
        """Why running workers, or the supervisor, are stuck; a worker that waits for its restart does not count."""
        silent = self._clock() - self._supervisor.turned
        reasons = [] if silent <= ALIVE_SECONDS else [f"the supervisor has not checked its workers for {silent:.0f} s"]
        return reasons + self._asked("/healthz", [slot for slot in self._supervisor.slots if self._settled(slot)])

    def unready(self) -> list[str]:
        """Workers that are not running or not ready, with the reasons they report."""
        slots = self._supervisor.slots
        absent = [f"worker {slot.number}: not running" for slot in slots if not slot.running]
        return absent + self._asked("/readyz", [slot for slot in slots if slot.running])

    def _settled(self, slot: WorkerSlot) -> bool:
        return slot.running and self._clock() - slot.started_at > START_SECONDS

    def _asked(self, path: str, slots: list[WorkerSlot]) -> list[str]:
        """Asks all workers at once, because a probe waits only a second or two for the answer."""
        with ThreadPoolExecutor(max_workers=max(1, len(slots))) as pool:
            answers = pool.map(lambda slot: reasons_of(self._urls[slot.number] + path), slots)
        return [
            f"worker {slot.number}: {reason}"
            for slot, reasons in zip(slots, answers, strict=True)
            for reason in reasons
        ]


def reasons_of(url: str, timeout_s: float = ANSWER_SECONDS) -> list[str]:
    """The reasons a health endpoint gives for being unhealthy; no answer is also a reason."""
    try:
        with urlopen(url, timeout=timeout_s):
            return []
    except HTTPError as answer:
        try:
            return [str(reason) for reason in json.loads(answer.read())["reasons"]]
        except (ValueError, KeyError, TypeError):
            return [f"answered {answer.code}"]
    except (URLError, OSError, HTTPException) as fault:
        return [f"does not answer: {fault}"]
