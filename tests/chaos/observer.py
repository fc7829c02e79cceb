"""What is seen from outside while things go wrong: how far the consumers are, who is in the group, who holds memory."""

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
    """Per partition the offset that is done, and the end of the log when it was looked at."""

    done: Mapping[int, int]
    ends: Mapping[int, int]

    @property
    def lag(self) -> int:
        """Records not done."""
        return sum(max(0, end - self.done.get(partition, 0)) for partition, end in self.ends.items())

    def covers(self, ends: Mapping[int, int]) -> bool:
        """Whether everything up to these ends is done."""
        return all(self.done.get(partition, 0) >= end for partition, end in ends.items())


@dataclass(frozen=True, slots=True)
class Sample:
    """One look: asked at `asked`, answered at `at` (monotonic seconds).

    `members` are the group's members with what they are assigned: it changes when the group rebalances. `memory` is
    resident bytes by life (`worker-1#4711`).
    """

    asked: float
    at: float
    join: Progress
    learner: Progress | None
    members: Members
    memory: Mapping[str, int]


class Observer:
    """The samples so far; `look` takes one."""

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
        """Samples all the time, from a thread; a look that fails because the broker is away is left out."""
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
    """From the end of a fault until all that the log held then is done; None when that was never seen."""
    after = [(sample, seen) for sample in samples if sample.asked >= ended and (seen := progress(sample)) is not None]
    if not after:
        return None
    owed = after[0][1].ends
    return next((sample.at - ended for sample, seen in after if seen.covers(owed)), None)


def rebalances(samples: Sequence[Sample], since: float, until: float) -> int:
    """How often the group looked different from the sample before, between two moments."""
    seen = [sample.members for sample in samples if since <= sample.at <= until]
    return sum(before != after for before, after in itertools.pairwise(seen))
