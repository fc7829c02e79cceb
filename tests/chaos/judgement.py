"""The verdict on a schedule: counts what is lost or differs, and how long recovery took.

`trimtab reconcile` compares the join's output with the log. This module also compares the log with what the producers
planned to send, and what the learner stored with the examples.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from event_schemas.experiment import load_experiment
from event_schemas.log_record import LogRecord
from learner.examples.example_decoder import ExampleDecoder
from learner.examples.example_rule import REQUEST_ID
from learner.examples.segment_reading import read_segments
from tests.chaos.evidence import Event, fingerprint, late_proofs
from tests.chaos.fault_injection import Performed, Proof
from tests.chaos.observer import Sample, rebalances, recovery_seconds
from tests.chaos.stage import Stage

RECONCILE_SECONDS = 1_800.0


@dataclass(frozen=True)
class Verdict:
    """One row of the table.

    `lost`: missing events, examples, dead letters or learner rows. `differing`: those with different content, or that
    are not expected at all. `second_copies`: written again after a fault and ignored by readers.
    `own_ends`: processes that ended by themselves and were restarted by their supervisor.
    `recovery_seconds`: the longest time from the end of a fault until everything then in the log was processed.
    """

    name: str
    title: str
    events: int
    examples: int
    lost: int
    differing: int
    second_copies: int
    recovery_seconds: float | None
    rebalances: int
    own_ends: int
    seconds: float
    fates: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    proofs: tuple[Proof, ...] = ()

    @property
    def exact(self) -> bool:
        """Whether nothing is lost and nothing differs."""
        return not (self.lost or self.differing)

    @property
    def valid(self) -> bool:
        """Whether every fault of the schedule really took place."""
        return all(proof.holds for proof in self.proofs)

    def as_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {**asdict(self), "exact": self.exact, "valid": self.valid}


@dataclass(frozen=True)
class Tally:
    """Counts of one comparison."""

    lost: int = 0
    differing: int = 0
    second_copies: int = 0
    notes: tuple[str, ...] = ()

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.lost + other.lost,
            self.differing + other.differing,
            self.second_copies + other.second_copies,
            self.notes + other.notes,
        )


@dataclass(frozen=True)
class History:
    """What was done to a stage, what was seen meanwhile, and how its processes ended."""

    performed: Sequence[Performed]
    samples: Sequence[Sample]
    farewell: Sequence[Proof]
    seconds: float


def judge(stage: Stage, history: History) -> Verdict:
    """The verdict on a stage whose workers and learner have stopped."""
    report = reconcile(stage)
    log = stage.bench.records("events")
    tally = _of_report(report) + compare_events(planned_events(stage), log) + _of_learner(stage)
    times = [_recovery(done, history.samples) for done in history.performed if done.action.lifts]
    proofs = [proof for done in history.performed for proof in done.proofs]
    proofs += [*late_proofs(stage, history.performed, history.samples, log), *history.farewell]
    return Verdict(
        name=stage.schedule.name,
        title=stage.schedule.title,
        events=report["inputs"],
        examples=report["examples_found"],
        lost=tally.lost,
        differing=tally.differing,
        second_copies=tally.second_copies,
        recovery_seconds=max((time for time in times if time is not None), default=None),
        rebalances=rebalances(history.samples, 0.0, float("inf")),
        own_ends=sum(actor.restarts for actor in stage.actors()),
        seconds=history.seconds,
        fates=report["fates"],
        notes=(*tally.notes, *report["differences"]),
        proofs=tuple(proofs),
    )


def reconcile(stage: Stage, *options: str) -> dict[str, Any]:
    """The report of `trimtab reconcile`; raises RuntimeError if it prints none."""
    done = stage.bench.run("reconcile", "--json", *options, timeout=RECONCILE_SECONDS)
    if not done.stdout:
        raise RuntimeError(f"trimtab reconcile failed: {done.stderr}")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def planned_events(stage: Stage) -> Iterator[Event]:
    """The events that the producers and `send_poison` were supposed to send."""
    for order in stage.orders.values():
        yield from ((event.key, event.value) for event in order.log().events())
    yield from ((item.event.key, item.event.value) for item in stage.poisoned)


def compare_events(planned: Iterable[Event], log: Iterable[LogRecord]) -> Tally:
    """Whether every planned event is in the log; more copies than planned come from producers that died."""
    due, found = Counter(map(fingerprint, planned)), Counter(fingerprint((r.key, r.value)) for r in log)
    missing = sum((due - found).values())
    repeated = sum(count - due[event] for event, count in found.items() if event in due and count > due[event])
    counts = {"never reached the log": missing, "reached the log once more than planned": repeated}
    return Tally(lost=missing, notes=tuple(f"{count} events {what}" for what, count in counts.items() if count))


def _of_report(report: Mapping[str, Any]) -> Tally:
    unprocessed = report["unprocessed"]
    return Tally(
        lost=report["lost"] + report["dead_letters_missing"],
        differing=sum(
            report[name] for name in ("unexpected", "differing", "dead_letters_extra", "dead_letters_differing")
        )
        + abs(report["inputs"] - sum(report["fates"].values()) - report["pending"]),
        second_copies=report["duplicated"] + report["dead_letters_repeated"],
        notes=(f"{unprocessed} events not processed",) if unprocessed else (),
    )


def _of_learner(stage: Stage) -> Tally:
    """Compare the learner's stored rows with the first copies in the examples topic, field by field."""
    if stage.learner is None:
        return Tally()
    decoder = ExampleDecoder(stage.codec, load_experiment(stage.bench.experiment_file).action_space)
    first: dict[bytes | None, LogRecord] = {}
    for record in stage.bench.records("examples"):
        first.setdefault(record.key, record)
    due = {row[REQUEST_ID]: row for row in decoder.decode(list(first.values())).frame.to_dicts()}
    rows = read_segments(stage.segments).to_dicts()
    stored = {row[REQUEST_ID]: row for row in rows}
    doubled = len(rows) - len(stored)
    return Tally(
        lost=len(due.keys() - stored.keys()),
        differing=doubled + sum(row != due.get(key) for key, row in stored.items()),
        notes=(f"learner: {len(rows)} rows, {len(first)} examples",),
    )


def _recovery(done: Performed, samples: Sequence[Sample]) -> float | None:
    if done.action.whom == "learner":
        return recovery_seconds(samples, done.done, lambda sample: sample.learner)
    return recovery_seconds(samples, done.done, lambda sample: sample.join)
