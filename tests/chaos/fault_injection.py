"""Performs each fault on the stage and proves that it took place."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from tests.chaos.schedule import Action
from tests.chaos.stage import Stage
from tests.chaos.supervised_process import SupervisedProcess, process_state

STATE_SECONDS = 5.0
STOPPED = "T"


@dataclass(frozen=True, slots=True)
class Proof:
    """A claim that a fault took effect. If it does not hold, the whole run is invalid."""

    claim: str
    holds: bool
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.claim}{f': {self.detail}' if self.detail else ''}"


@dataclass(frozen=True, slots=True)
class Performed:
    """An action, when it began and ended (monotonic seconds), and its proofs."""

    action: Action
    began: float
    done: float
    proofs: tuple[Proof, ...]


def perform(stage: Stage, action: Action) -> Performed:
    """Perform an action now."""
    began = time.monotonic()
    proofs = tuple(DEEDS[action.deed](stage, action))
    return Performed(action, began, time.monotonic(), proofs)


def _kill(stage: Stage, action: Action) -> Iterator[Proof]:
    if action.whom == "broker":
        stage.broker.process.kill()
        yield Proof("broker killed", stage.broker.is_down())
        return
    actor = stage.actor(action.whom)
    stage.wait(lambda: actor.running, STATE_SECONDS, f"{action.whom} to be there to be killed")
    code = actor.kill()
    yield Proof(f"{action.whom} killed", code == -signal.SIGKILL, f"exit code {code}")
    if action.whom in stage.producers:
        unknown = stage.journal(action.whom).unknown
        yield Proof(f"{action.whom} died mid-batch", unknown > 0, f"{unknown} events not acknowledged")


def _stop(stage: Stage, action: Action) -> Iterator[Proof]:
    if action.whom == "broker":
        stage.broker.process.stop()
        yield Proof("broker stopped", stage.broker.is_down())
        return
    code = stage.actor(action.whom).stop()
    yield Proof(f"{action.whom} left", code == 0, f"exit code {code}")


def _start(stage: Stage, action: Action) -> Iterator[Proof]:
    if action.whom == "broker":
        stage.broker.process.start()
        yield Proof("broker back", not stage.broker.is_down())
        return
    actor = stage.start_worker(action.whom) if action.whom.startswith("worker-") else stage.actor(action.whom)
    actor.start()
    yield Proof(f"{action.whom} started", actor.running)


def _freeze(stage: Stage, action: Action) -> Iterator[Proof]:
    if action.whom == "broker":
        stage.broker.process.pause()
        pid = stage.broker.process.pid
    else:
        actor = stage.actor(action.whom)
        actor.freeze()
        pid = actor.pid
    yield Proof(f"{action.whom} frozen", _reaches(pid, lambda state: state == STOPPED))


def _thaw(stage: Stage, action: Action) -> Iterator[Proof]:
    if action.whom == "broker":
        pid = stage.broker.process.pid
        was = process_state(pid)
        stage.broker.process.resume()
    else:
        actor = stage.actor(action.whom)
        pid = actor.pid
        was = process_state(pid)
        actor.thaw()
    yield Proof(f"{action.whom} was frozen until its time", was == STOPPED, f"state {was!r}")


def _slow(stage: Stage, action: Action) -> Iterator[Proof]:
    before = stage.broker.answer_seconds()
    stage.broker.slow(action.step.latency, action.step.bytes_per_second)
    after = stage.broker.answer_seconds()
    yield Proof("way to the broker slow", after > 2 * before, f"an answer takes {after:.2f} s instead of {before:.2f}")


def _speed_up(stage: Stage, action: Action) -> Iterator[Proof]:
    stage.broker.slow(0.0, 0)
    yield Proof("way to the broker fast again", True)


def _cut(stage: Stage, action: Action) -> Iterator[Proof]:
    stage.broker.cut()
    yield Proof("way to the broker cut", stage.broker.refuses() and not stage.broker.is_down())


def _mend(stage: Stage, action: Action) -> Iterator[Proof]:
    stage.broker.mend()
    yield Proof("way to the broker open again", not stage.broker.refuses())


def _poison(stage: Stage, action: Action) -> Iterator[Proof]:
    events = stage.send_poison()
    kinds = {item.kind for item in events}
    largest = max(len(item.event.value or b"") for item in events)
    yield Proof("poison stored", bool(events), f"{len(events)} events of {len(kinds)} kinds, up to {largest:,} bytes")


def _die_at_step(stage: Stage, action: Action) -> Iterator[Proof]:
    """Restart the learner so that it dies at the step; the supervisor then starts it normally.

    `late_proofs` checks that it died.
    """
    learner = _learner(stage)
    code = learner.stop()
    learner.start(stage.learner_order(action.step.step).command())
    yield Proof("learner restarted", code == 0, f"exit code {code}; to die after step {action.step.step}")


def _fill_disk(stage: Stage, action: Action) -> Iterator[Proof]:
    assert stage.disk is not None, "the schedule was checked"
    ballast = stage.disk.fill()
    yield Proof("disk full", ballast > 0, f"{ballast:,} bytes of ballast")


def _empty(stage: Stage, action: Action) -> Iterator[Proof]:
    assert stage.disk is not None, "the schedule was checked"
    lives = len(_learner(stage).exits)
    stage.disk.free()
    told = stage.log("learner").count("No space left on device")
    yield Proof("the learner ended for want of room and said so", bool(lives and told), f"{told} times")


def _learner(stage: Stage) -> SupervisedProcess:
    assert stage.learner is not None, "the schedule was checked"
    return stage.learner


def _reaches(pid: int | None, wanted: Callable[[str], bool]) -> bool:
    deadline = time.monotonic() + STATE_SECONDS
    while not wanted(process_state(pid)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


DEEDS: Mapping[str, Callable[[Stage, Action], Iterator[Proof]]] = {
    "kill": _kill,
    "stop": _stop,
    "start": _start,
    "freeze": _freeze,
    "thaw": _thaw,
    "slow": _slow,
    "speed_up": _speed_up,
    "cut": _cut,
    "mend": _mend,
    "poison": _poison,
    "die_at_step": _die_at_step,
    "fill_disk": _fill_disk,
    "empty": _empty,
}
