"""Proofs that faults had an effect, which are only available at the end of a run."""

from __future__ import annotations

import signal
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Any

from event_schemas.codec import HEADER
from event_schemas.log_record import LogRecord
from event_schemas.records import PROPENSITY
from tests.chaos.fault_injection import Performed, Proof
from tests.chaos.observer import Sample, rebalances
from tests.chaos.poison import PoisonEvent
from tests.chaos.stage import SESSION_SECONDS, Stage

Event = tuple[bytes | None, bytes | None]
"""Key and value."""

BEFORE_SECONDS = 1.0
NOTICED_SECONDS = 15.0
"""How soon after a change of workers the group must have rebalanced."""


def fingerprint(event: Event) -> bytes:
    """A digest of key and value."""
    return sha256(b"%a %a" % event).digest()


def late_proofs(
    stage: Stage, performed: Sequence[Performed], samples: Sequence[Sample], log: Sequence[LogRecord]
) -> Iterator[Proof]:
    """Proofs of the faults' effects on the run as a whole."""
    yield from _group_proofs(performed, samples)
    if stage.learner is not None:
        yield from _learner_proofs(performed, stage.learner.exits.count(-signal.SIGKILL))
    if stage.schedule.resends:
        yield _resent(stage, log)
    if stage.poisoned:
        yield from _poison_proofs(stage, log)


def _group_proofs(performed: Sequence[Performed], samples: Sequence[Sample]) -> Iterator[Proof]:
    """The group rebalances when a worker starts, stops, or is frozen for longer than its session."""
    for done in performed:
        action = done.action
        nap = action.deed == "freeze" and (action.step.lasting or 0.0) < SESSION_SECONDS
        if action.whom.startswith("worker-") and not action.undoes and not nap:
            seen = rebalances(samples, done.began - BEFORE_SECONDS, done.done + NOTICED_SECONDS)
            yield Proof(f"the group noticed what became of {action.whom}", seen > 0)


def _learner_proofs(performed: Sequence[Performed], died: int) -> Iterator[Proof]:
    """Each `die_at_step` and each `kill` of the learner caused exactly one death by SIGKILL."""
    deeds = [done.action.deed for done in performed if done.action.whom == "learner" and not done.action.undoes]
    due = deeds.count("die_at_step") + deeds.count("kill")
    if due:
        yield Proof("the learner died where it was told to", died == due, f"{died} of {due} times")


def _resent(stage: Stage, log: Sequence[LogRecord]) -> Proof:
    """Counts repeated propensities, because engagements are also repeated on purpose, but propensities never."""
    frame = HEADER.pack(0, stage.codec.registry.newest(PROPENSITY).schema_id)
    copies = Counter(record.value for record in log if (record.value or b"").startswith(frame))
    repeated = sum(count - 1 for count in copies.values())
    return Proof("producers wrote events twice", repeated > 0, f"{repeated} propensities")


def _poison_proofs(stage: Stage, log: Sequence[LogRecord]) -> Iterator[Proof]:
    """Each poison event whose fate is certain has a dead letter with its original bytes or their SHA-256."""
    places = {fingerprint((record.key, record.value)): (record.partition, record.offset) for record in log}
    letters = {(letter["partition"], letter["offset"]): letter for letter in stage.bench.decoded("dead-letters")}
    kinds: defaultdict[str, list[bool]] = defaultdict(list)
    for item in stage.poisoned:
        if item.reasons:
            place = places.get(fingerprint((item.event.key, item.event.value)), (-1, -1))
            kinds[item.kind].append(_tells(letters.get(place), item))
    for kind, told in kinds.items():
        yield Proof(f"dead letter of: {kind}", all(told), f"{sum(told)} of {len(told)}")


def _tells(letter: Mapping[str, Any] | None, item: PoisonEvent) -> bool:
    if letter is None or letter["reason"] not in item.reasons or letter["key"] != item.event.key:
        return False
    value = item.event.value
    left_out = value is not None and letter["value"] is None and sha256(value).hexdigest() in letter["detail"]
    return left_out or letter["value"] == value
