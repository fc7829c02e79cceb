"""The health of a supervisor is that of its workers, asked over HTTP when somebody asks the supervisor."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from stream_processors.worker.worker_health import ALIVE_SECONDS
from trimtab.worker_supervisor import WorkerSlot, WorkerSupervisor

ANSWER_SECONDS = 1.0
START_SECONDS = 30.0
"""A worker opens its port only once it has loaded its libraries."""


class WorkerProbes:
    """Answers for a supervisor whose workers serve `/healthz` and `/readyz` at the addresses `urls`, by number."""

    def __init__(self, supervisor: WorkerSupervisor, urls: Mapping[int, str], clock: Callable[[], float]) -> None:
        self._supervisor = supervisor
        self._urls = urls
        self._clock = clock

    def unhealthy(self) -> list[str]:
        """Running workers that are stuck, or the supervisor itself; a worker between two starts is looked after."""
        silent = self._clock() - self._supervisor.turned
        reasons = [] if silent <= ALIVE_SECONDS else [f"the supervisor has not looked around for {silent:.0f} s"]
        return reasons + self._asked("/healthz", [slot for slot in self._supervisor.slots if self._settled(slot)])

    def unready(self) -> list[str]:
        """Workers that do not do their share now, with their own reasons."""
        slots = self._supervisor.slots
        absent = [f"worker {slot.number}: not running" for slot in slots if not slot.running]
        return absent + self._asked("/readyz", [slot for slot in slots if slot.running])

    def _settled(self, slot: WorkerSlot) -> bool:
        return slot.running and self._clock() - slot.started_at > START_SECONDS

    def _asked(self, path: str, slots: list[WorkerSlot]) -> list[str]:
        """Asks all at once: the answer is to come within the second or two that a probe waits."""
        with ThreadPoolExecutor(max_workers=max(1, len(slots))) as pool:
            answers = pool.map(lambda slot: reasons_of(self._urls[slot.number] + path), slots)
        return [
            f"worker {slot.number}: {reason}"
            for slot, reasons in zip(slots, answers, strict=True)
            for reason in reasons
        ]


def reasons_of(url: str, timeout_s: float = ANSWER_SECONDS) -> list[str]:
    """What a health endpoint says is wrong; no answer is wrong too."""
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
