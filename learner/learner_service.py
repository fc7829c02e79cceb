"""The learner as a process: ingest what the join writes, and learn anew when there is something to learn from."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import structlog

from event_schemas.errors import ComponentUnreachable, TrimtabError
from learner.ingest import Ingest, IngestCounts
from learner.learner_errors import NothingToLearn
from learner.learner_run import Learner, RunReport
from learner.preference_in_force import PreferenceInForce
from policy_store.store_errors import LeaseLost, RevisionConflict

log = structlog.get_logger(__name__)


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
    preference: Callable[[], PreferenceInForce]
    schedule: Schedule = Schedule()
    clock: Callable[[], float] = time.monotonic

    def catch_up(self) -> IngestCounts:
        """Take in everything the log holds now."""
        self.ingest.start()
        for counts in self.ingest.to_end():
            self.learner.observer.stage("ingest", f"{counts.records} records, {self.ingest.store.rows} examples stored")
        return self.ingest.counts

    def wait_for(self, examples: int, timeout_s: float, stop: threading.Event) -> None:
        """Ingest until that many examples are stored; raises NothingToLearn after `timeout_s` without being there."""
        deadline = self.clock() + timeout_s
        self.catch_up()
        while self.ingest.store.rows < examples and not stop.is_set():
            if self.clock() > deadline:
                raise NothingToLearn(
                    f"{self.ingest.store.rows} of the {examples} examples waited for came in {timeout_s:g} s",
                    mend="look at the join (`trimtab join`), or wait for fewer",
                )
            stop.wait(min(self.schedule.poll_s, 0.2))
            self.catch_up()

    def once(self, *, warm: bool = True) -> RunReport:
        """Learn from what is stored."""
        return self.learner.run(self.preference(), warm=warm)

    def forever(self, stop: threading.Event) -> Iterator[RunReport]:
        """Ingest continually and run on schedule until `stop`; a run that cannot be made waits for the next one."""
        learnt_rows, next_run, next_fresh = 0, self.clock(), self.clock()
        while not stop.is_set():
            self.catch_up()
            if self.clock() >= next_run and self.ingest.store.rows > learnt_rows:
                try:
                    yield self.once()
                except NothingToLearn as fault:
                    log.info("not enough to learn from yet", what=fault.what)
                except (ComponentUnreachable, LeaseLost, RevisionConflict) as fault:
                    log.warning("run not published", fault=str(fault))
                learnt_rows, next_run = self.ingest.store.rows, self.clock() + self.schedule.every_s
            if self.clock() >= next_fresh:
                self._keep_alive()
                next_fresh = self.clock() + self.schedule.fresh_s
            stop.wait(self.schedule.poll_s)

    def _keep_alive(self) -> None:
        """A store that is down must not stop the ingest: the log's retention would not wait."""
        if self.learner.publisher is None:
            return
        try:
            self.learner.publisher.keep_alive()
        except TrimtabError as fault:
            log.warning("channels not prolonged", fault=str(fault))
