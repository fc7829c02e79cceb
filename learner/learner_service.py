"""The learner as a process: ingest what the join writes, and learn anew when there is something to learn from.

What may pass ends neither: a run that fails is logged and counted and the next one comes on schedule, and so is an
attempt to ingest. Only what needs a person ends the service: see NEEDS_A_PERSON.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import structlog
from polars.exceptions import PanicException

from event_schemas.errors import RightMissing, TrimtabError
from learner.examples.ingest import Ingest, IngestCounts
from learner.examples.learner_errors import (
    ClockMismatch,
    ExamplesLost,
    NothingToLearn,
    StoreDamaged,
    StoreMismatch,
    StoreUnwritable,
)
from learner.learner_run import Learner, RunReport
from policy_store.records.objective_weights import ObjectiveWeights
from producers.topics.topic_identity import TopicUnidentified

NEEDS_A_PERSON = (
    ClockMismatch,
    ExamplesLost,
    RightMissing,
    StoreDamaged,
    StoreMismatch,
    StoreUnwritable,
    TopicUnidentified,
)
"""Errors of ingest that trying again does not fix: the log or the data directory is not what it was, the disk takes no
more, the clock is wrong, a right is missing."""
log = structlog.get_logger(__name__)


class Stop(Protocol):
    """Whether the process was told to end; a `threading.Event` is one."""

    def is_set(self) -> bool:
        """Whether it was."""

    def wait(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds until it is; whether it was."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """`every_s`: seconds from the end of a run to the next; `poll_s`: between two looks at the log.

    `fresh_s`: between two prolongations of what the channels point to.
    """

    every_s: float = 3600.0
    poll_s: float = 2.0
    fresh_s: float = 3600.0


@dataclass(eq=False)
class LearnerService:
    """One learner process; `preference` reads what people approved, before each run."""

    ingest: Ingest
    learner: Learner
    preference: Callable[[], ObjectiveWeights]
    schedule: Schedule = Schedule()
    clock: Callable[[], float] = time.monotonic
    _ingest_fault: type[BaseException] | None = field(default=None, init=False)

    def catch_up(self) -> IngestCounts:
        """Take in everything the log holds now."""
        self.ingest.start()
        for counts in self.ingest.to_end():
            self.learner.observer.stage("ingest", f"{counts.total} records, {self.ingest.store.rows} examples stored")
        return self.ingest.counts

    def wait_for(self, examples: int, timeout_s: float, stop: Stop) -> None:
        """Ingest until that many examples are stored.

        After `timeout_s` without being there it raises what the last attempt to ingest raised, or NothingToLearn.
        """
        deadline = self.clock() + timeout_s
        fault = self._take_in()
        while self.ingest.store.rows < examples and not stop.is_set():
            if self.clock() > deadline:
                raise fault or NothingToLearn(
                    f"{self.ingest.store.rows} of the {examples} examples waited for came in {timeout_s:g} s",
                    fix="look at the join (`trimtab join`), or wait for fewer",
                )
            stop.wait(min(self.schedule.poll_s, 0.2))
            fault = self._take_in()

    def once(self, *, warm: bool = True) -> RunReport:
        """Learn from what is stored."""
        return self.learner.run(self.preference(), warm=warm)

    def forever(self, stop: Stop) -> Iterator[RunReport]:
        """Ingest continually and run on schedule until `stop`.

        A run comes when examples have come since the last one, and after a failed one in any case. Raises
        NEEDS_A_PERSON when ingest does.
        """
        next_run, next_fresh = self.clock(), self.clock()
        learnt: int | None = None
        while not stop.is_set():
            self._take_in()
            if self.clock() >= next_run and self.ingest.store.rows and self.ingest.counts.stored != learnt:
                stored, outcome = self.ingest.counts.stored, self._attempt()
                if isinstance(outcome, RunReport):
                    yield outcome
                learnt = stored if isinstance(outcome, RunReport | NothingToLearn) else None
                next_run = self.clock() + self.schedule.every_s
            if self.clock() >= next_fresh:
                self._keep_alive()
                next_fresh = self.clock() + self.schedule.fresh_s
            stop.wait(self.schedule.poll_s)

    def _take_in(self) -> BaseException | None:
        """Ingest what the log holds now; what went wrong, when trying again may fix it. Raises NEEDS_A_PERSON."""
        try:
            self.catch_up()
        except NEEDS_A_PERSON:
            raise
        except (Exception, PanicException) as fault:
            if (metrics := self.learner.metrics) is not None:
                metrics.ingest_failures.labels(error=type(fault).__name__).inc()
            if self._ingest_fault is not type(fault):  # said once: an outage may last for days
                _tell("examples not taken in; trying again", fault)
            self._ingest_fault = type(fault)
            return fault
        if self._ingest_fault is not None:
            log.info("examples are taken in again", stored=self.ingest.store.rows)
        self._ingest_fault = None
        return None

    def _attempt(self) -> RunReport | BaseException:
        """A run, or what went wrong with it; whatever that is, the service goes on."""
        try:
            return self.once()
        except NothingToLearn as fault:
            log.info("not enough to learn from yet", what=fault.what)
            failed: BaseException = fault
        except (Exception, PanicException) as fault:
            _tell("run failed; the next one comes on schedule", fault)
            failed = fault
        if (metrics := self.learner.metrics) is not None:
            metrics.failed_runs.labels(error=type(failed).__name__).inc()
        return failed

    def _keep_alive(self) -> None:
        """A store that is down must not stop the ingest: the log's retention would not wait."""
        if self.learner.publisher is None:
            return
        try:
            self.learner.publisher.keep_alive()
        except Exception as fault:
            _tell("channels not prolonged", fault)


def _tell(event: str, fault: BaseException) -> None:
    """A TrimtabError says what to do; of anything else the log shows where it came from."""
    if isinstance(fault, TrimtabError):
        log.warning(event, error=type(fault).__name__, what=fault.what, fix=fault.fix)
    else:
        log.error(event, error=type(fault).__name__, what=str(fault), exc_info=fault)
