"""Samples during a run: the consumers' progress, the group's members, and the processes' memory."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from confluent_kafka import KafkaException

from event_schemas.errors import TrimtabError
from tests.chaos.consumer_group import Members

SAMPLE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Progress:
    """For each partition, the offset up to which it is processed and the end of the log at that time."""

    done: Mapping[int, int]
    ends: Mapping[int, int]

    @property
    def lag(self) -> int:
        """Number of records not yet processed."""
        return sum(max(0, end - self.done.get(partition, 0)) for partition, end in self.ends.items())

    def covers(self, ends: Mapping[int, int]) -> bool:
        """Whether everything up to these ends is processed."""
        return all(self.done.get(partition, 0) >= end for partition, end in ends.items())


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample: requested at `asked`, complete at `at` (monotonic seconds).

    `members` are the group's members with their partitions, which change when the group rebalances. `memory` is the
    resident bytes of each life (`worker-1#4711`).
    """

    asked: float
    at: float
    join: Progress
    learner: Progress | None
    members: Members
    memory: Mapping[str, int]


class Observer:
    """Collects samples; `look` takes one."""

    def __init__(self, look: Callable[[], Sample]) -> None:
        self._look = look
        self._samples: list[Sample] = []
        self._done = threading.Event()

    @property
    def samples(self) -> Sequence[Sample]:
        """All samples, oldest first."""
        return tuple(self._samples)

    @property
    def last(self) -> Sample | None:
        """The newest sample."""
        return self._samples[-1] if self._samples else None

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Take samples continuously in a thread; a sample that fails because the broker is down is left out."""
        thread = threading.Thread(target=self._watch)
        thread.start()
        try:
            yield
        finally:
            self._done.set()
            thread.join()

    def _watch(self) -> None:
        while not self._done.is_set():
            with suppress(TrimtabError, KafkaException):
                self._samples.append(self._look())
            self._done.wait(SAMPLE_SECONDS)


def recovery_seconds(
    samples: Sequence[Sample], ended: float, progress: Callable[[Sample], Progress | None]
) -> float | None:
    """Time from the end of a fault until everything then in the log was processed; None if that was never observed."""
    after = [(sample, seen) for sample in samples if sample.asked >= ended and (seen := progress(sample)) is not None]
    if not after:
        return None
    owed = after[0][1].ends
    return next((sample.at - ended for sample, seen in after if seen.covers(owed)), None)


def rebalances(samples: Sequence[Sample], since: float, until: float) -> int:
    """How often the group's members or assignments changed between consecutive samples of a period."""
    seen = [sample.members for sample in samples if since <= sample.at <= until]
    return sum(before != after for before, after in itertools.pairwise(seen))
