"""One schedule from beginning to end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from tests.chaos.auditor import auditing
from tests.chaos.fault_injection import Performed, Proof, perform
from tests.chaos.judgement import History, Verdict, judge
from tests.chaos.observer import Observer, Sample
from tests.chaos.schedule import Schedule, Step
from tests.chaos.stage import ChaosError, Place, Stage

PATIENCE_SECONDS = 180.0
"""How long each stage of the end of a run may take once the faults are over."""

Tell = Callable[[str], None]


def run_schedule(
    schedule: Schedule, place: Place, tell: Tell = lambda _: None, audit_seconds: float | None = None
) -> tuple[Verdict, History]:
    """Start workers and traffic, perform the faults, wait until everything is processed, stop all; return the verdict.

    `tell` is called with each action. With `audit_seconds`, the join is also reconciled at that interval during the
    run.
    """
    began = time.monotonic()
    with Stage(schedule, place) as stage:
        stage.open()
        observer = Observer(stage.look)
        performed: list[Performed] = []
        with observer.watching(), auditing(stage, audit_seconds) as audits:
            came_to_rest = _play(stage, observer, performed, tell)
        farewell = (*audits, came_to_rest, *_send_home(stage))
        history = History(performed, observer.samples, farewell, time.monotonic() - began)
        return judge(stage, history), history


def _play(stage: Stage, observer: Observer, performed: list[Performed], tell: Tell) -> Proof:
    """Run the traffic and the faults until all events are processed, filling `performed`; a stuck run is judged too."""
    stage.start_traffic()
    performed += _perform_all(stage, tell)
    try:
        stage.finish_traffic(stage.schedule.traffic.seconds + PATIENCE_SECONDS)
        _wait_until_processed(stage, observer)
    except ChaosError as fault:
        tell(fault.what)
        lag = "never seen" if observer.last is None else f"lag {observer.last.join.lag}"
        return Proof(fault.what, False, lag)
    return Proof("everything was processed", True)


def _perform_all(stage: Stage, tell: Tell) -> Iterator[Performed]:
    """Perform every action at its time; a fault that began late still lasts as long as its step says."""
    began = time.monotonic()
    begun: dict[Step, float] = {}
    for action in stage.schedule.timeline():
        due = began + action.at
        if action.undoes:
            due = max(due, begun[action.step] + (action.step.lasting or 0.0))
        stage.rest(max(0.0, due - time.monotonic()))
        done = perform(stage, action)
        begun.setdefault(action.step, done.done)
        tell(f"{done.began - began:5.1f} s  {action.deed} {action.whom}".rstrip())
        yield done


def _wait_until_processed(stage: Stage, observer: Observer) -> None:
    """Wait until the join, and then the learner, have processed everything."""
    ends = stage.ends("events")
    stage.wait(lambda: _seen(observer, lambda s: s.join.covers(ends)), PATIENCE_SECONDS, "the join to catch up")
    if stage.learner is not None:
        due = stage.ends("examples")
        stage.wait(
            lambda: _seen(observer, lambda s: s.learner is not None and s.learner.covers(due)),
            PATIENCE_SECONDS,
            "the learner to catch up",
        )


def _seen(observer: Observer, condition: Callable[[Sample], bool]) -> bool:
    return observer.last is not None and condition(observer.last)


def _send_home(stage: Stage) -> Iterator[Proof]:
    """Stop all processes with SIGTERM; each must end with exit code 0."""
    codes = stage.stop_workers()
    if stage.learner is not None:
        codes["learner"] = stage.learner.stop()
    for name, code in codes.items():
        yield Proof(f"{name} ended in order", code == 0, f"exit code {code}")
