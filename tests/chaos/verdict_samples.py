"""Sample verdicts and histories for tests."""

from __future__ import annotations

from dataclasses import replace

from tests.chaos.fault_injection import Performed, Proof
from tests.chaos.judgement import History, Verdict
from tests.chaos.observer import Progress, Sample
from tests.chaos.schedule import parse_schedule

GOOD = Verdict(
    name="worker-killed",
    title="a worker killed",
    events=12_345,
    examples=3_000,
    lost=0,
    differing=0,
    second_copies=7,
    recovery_seconds=2.34,
    rebalances=4,
    own_ends=0,
    seconds=40.0,
    fates={"joined": 12_000, "late": 0},
    proofs=(Proof("worker-1 killed", True, "exit code -9"),),
)
WRONG = replace(GOOD, name="wrong", lost=2, notes=("example r1 is missing",))
INVALID = replace(GOOD, name="invalid", recovery_seconds=None, proofs=(Proof("worker-1 killed", False, "exit code 1"),))


def history() -> History:
    """Two minutes of a worker that is killed once, with a learner reading its output."""
    schedule = parse_schedule("s", {"title": "t", "steps": [{"at": 9.0, "do": "kill", "whom": "worker-1"}]})
    [action] = schedule.timeline()
    samples = [
        Sample(
            asked=100.0 + at,
            at=100.5 + at,
            join=Progress({0: 10 * at}, {0: 10 * at + at % 7}),
            learner=Progress({0: at}, {0: at + 3}),
            members=frozenset({("m", (0,))}),
            memory={"worker-1#1": (200 + at % 3) * 1_048_576, "worker-2#2": 150 * 1_048_576},
        )
        for at in range(120)
    ]
    return History((Performed(action, 109.0, 109.2, ()),), samples, (), 120.0)
