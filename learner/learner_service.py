"""The learner as a process: it ingests what the join writes, and runs whenever there are new examples.

Temporary errors end neither: a failed run or a failed attempt to ingest is logged and counted, and the next one follows
on schedule. The service only ends on errors that need a person: see NEEDS_A_PERSON.
"""

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Protocol

import structlog
from polars.exceptions import PanicException

from event_schemas.errors import RightMissing, TrimtabError
from learner.canary_step import CanaryStep
from learner.examples.ingest import Ingest, IngestCounts
from learner.examples.learner_errors import (
    BoxNotLearnt,
    ClockMismatch,
    ExamplesLost,
    NothingToLearn,
    StoreDamaged,
    StoreMismatch,
    StoreUnwritable,
)
from learner.examples.waiting import no_examples_yet
from learner.learner_run import Learner, RunReport
from policy_store.records import ObjectiveWeights
from producers.topics import TopicUnidentified

NEEDS_A_PERSON = (
    ClockMismatch,
    ExamplesLost,
    RightMissing,
    StoreDamaged,
    StoreMismatch,
    StoreUnwritable,
    TopicUnidentified,
)
"""Errors of ingest that a retry does not fix: another or damaged log or data directory, a full disk, a wrong clock, a
missing right."""
log = structlog.get_logger(__name__)


class Stop(Protocol):
    """Whether the process was asked to stop; a `threading.Event` is one."""

    def is_set(self) -> bool:
        """Whether it was asked to stop."""

    def wait(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds for it; returns whether the process was asked to stop."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Seconds: `every_s` from the end of a run to the next, `poll_s` between two polls of the log.

    `fresh_s` is the time between two extensions of the channel records.
    """

    every_s: float = 3600.0
    poll_s: float = 2.0
    fresh_s: float = 3600.0


@dataclass(eq=False)
class LearnerService:
    """One learner process; `preference` reads the approved preference before each run.

    Without a `canary` step, because nothing is published, none is looked at.
    """

    ingest: Ingest
    learner: Learner
    preference: Callable[[], ObjectiveWeights]
    schedule: Schedule = Schedule()
    clock: Callable[[], float] = time.monotonic
    canary: CanaryStep | None = None
    _ingest_fault: type[BaseException] | None = field(default=None, init=False)

    def catch_up(self) -> IngestCounts:
        """Ingest everything that is in the log now."""
        self.ingest.start()
        for counts in self.ingest.to_end():
            self.learner.observer.stage("ingest", f"{counts.total} records, {self.ingest.store.rows} examples stored")
        self.learner.observer.done("ingest", self.ingest.store.rows)
        return self.ingest.counts

    def wait_for(self, examples: int, timeout_s: float, stop: Stop) -> None:
        """Ingest until at least `examples` examples are stored.

        After `timeout_s` it raises the error of the last attempt to ingest, or NothingToLearn.
        """
        deadline = self.clock() + timeout_s
        fault = self._take_in()
        while self.ingest.store.rows < examples and not stop.is_set():
            if self.clock() > deadline:
                raise fault or NothingToLearn(
                    f"only {self.ingest.store.rows} of {examples} expected examples came within {timeout_s:g} s",
                    fix="check the join (`trimtab join`), or wait for fewer",
                )
            stop.wait(min(self.schedule.poll_s, 0.2))
            fault = self._take_in()

    def once(self, *, warm: bool = True) -> RunReport:
        """Look at the canary, and do one run on the stored examples; with a publisher, under the learner's lease.

        Raises the errors of `Learner.run`.
        """
        with self.learner.right():
            self._watch_canary()
            return self.learner.run(self.preference(), warm=warm)

    def forever(self, stop: Stop) -> Generator[RunReport]:
        """Ingest continually and run on schedule until `stop`.

        A run is due if new examples were stored since the last run, or if that run failed, or could judge nothing: then
        tallies may have come. The lease is held as long as this lasts; while another learner has it, this one only
        ingests. Raises the errors in NEEDS_A_PERSON.
        """
        publisher = self.learner.publisher
        with nullcontext() if publisher is None else publisher.lease.kept():
            yield from self._in_turn(stop)

    def _in_turn(self, stop: Stop) -> Iterator[RunReport]:
        next_run, next_fresh = self.clock(), self.clock()
        learnt: int | None = None
        waiting = False
        while not stop.is_set():
            self._take_in()
            if not self.ingest.store.rows and not waiting:
                waiting, fault = True, no_examples_yet(self.learner.experiment)
                log.info("not enough to learn from yet", what=fault.what, fix=fault.fix)
            may = self._may_publish()
            new = self.ingest.store.rows and self.ingest.counts.stored != learnt
            if self.clock() >= next_run and may and new:
                stored, outcome = self.ingest.counts.stored, self._attempt()
                if isinstance(outcome, RunReport):
                    yield outcome
                learnt = stored if _settled(outcome) else None
                next_run = self.clock() + self.schedule.every_s
            if self.clock() >= next_fresh and may:
                self._keep_alive()
                next_fresh = self.clock() + self.schedule.fresh_s
            stop.wait(self.schedule.poll_s)

    def _may_publish(self) -> bool:
        """Whether this learner has the lease, or publishes nothing."""
        publisher = self.learner.publisher
        return publisher is None or publisher.lease.is_held

    def _take_in(self) -> BaseException | None:
        """Ingest what is in the log now; returns the error if a retry may fix it. Raises those in NEEDS_A_PERSON."""
        try:
            self.catch_up()
        except NEEDS_A_PERSON:
            raise
        except (Exception, PanicException) as fault:
            if (metrics := self.learner.metrics) is not None:
                metrics.ingest_failures.labels(error=type(fault).__name__).inc()
            if self._ingest_fault is not type(fault):  # logged once: an outage may last for days
                _tell("examples not ingested; trying again", fault)
            self._ingest_fault = type(fault)
            return fault
        if self._ingest_fault is not None:
            log.info("examples are ingested again", stored=self.ingest.store.rows)
        self._ingest_fault = None
        return None

    def _attempt(self) -> RunReport | BaseException:
        """The report of a run, or its error; the service continues after any error."""
        try:
            return self.once()
        except NothingToLearn as fault:
            log.info("not enough to learn from yet", what=fault.what, fix=fault.fix)
            failed: BaseException = fault
        except BoxNotLearnt as fault:
            log.info("nothing learns a box", what=fault.what, fix=fault.fix)
            failed = fault
        except (Exception, PanicException) as fault:
            _tell("run failed; the next one follows on schedule", fault)
            failed = fault
        if (metrics := self.learner.metrics) is not None:
            metrics.failed_runs.labels(error=type(failed).__name__).inc()
        return failed

    def _watch_canary(self) -> None:
        """Takes the canary's next step; logs errors, because a run can learn whatever becomes of the canary."""
        if self.canary is None:
            return
        try:
            self.canary.take()
        except Exception as fault:
            _tell("canary not judged; the next run looks again", fault)

    def _keep_alive(self) -> None:
        """Extends the channel records; logs errors, because a store that is down must not stop the ingest."""
        if self.learner.publisher is None:
            return
        try:
            self.learner.publisher.keep_alive()
        except Exception as fault:
            _tell("channel records not extended", fault)


def _settled(outcome: RunReport | BaseException) -> bool:
    """Whether another run without a new example could find nothing else."""
    if isinstance(outcome, RunReport):
        return outcome.settled
    return isinstance(outcome, NothingToLearn | BoxNotLearnt)


def _tell(event: str, fault: BaseException) -> None:
    """Logs an error: a TrimtabError with its fix, any other with its traceback."""
    if isinstance(fault, TrimtabError):
        log.warning(event, error=type(fault).__name__, what=fault.what, fix=fault.fix)
    else:
        log.error(event, error=type(fault).__name__, what=str(fault), exc_info=fault)
