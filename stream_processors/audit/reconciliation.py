"""Compares what the join wrote with what the reference join computes from the log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar, cast

from event_schemas import records as r
from event_schemas.codec import Codec
from event_schemas.decision_key import DecisionKey
from event_schemas.log_record import LogRecord
from stream_processors.audit.letter_gathering import decision_of
from stream_processors.rule.fates import SILENT
from stream_processors.rule.join_rule import OutsideReason
from stream_processors.rule.reference_join import Place, ReferenceResult

K = TypeVar("K")
V = TypeVar("V")
NAMED_DIFFERENCES = 1_000
"""At most this many differences are listed individually."""


@dataclass(frozen=True)
class ReconcileReport:
    """Counts of input events by fate, of examples and of dead letters, expected and found.

    `lost` examples are missing, `unexpected` ones have no complete decision, and `differing` ones differ from the
    reference's in content (including rewards). `duplicated` counts further copies of a decision's example, and
    `dead_letters_repeated` those of a dead letter. Readers keep the first copy, so an identical copy is no difference.
    `duplicated_differing` and `dead_letters_repeated_differing` count the copies with different content: which one a
    reader keeps depends on where it started. A request_id that is used again after its decision was forgotten
    identifies another decision (`DecisionKey`), whose example is not a copy.
    `replayed` examples were written by a replay of dead letters and equal the result of an offline join of their
    records; `dead_letters_mended` counts letters of these decisions that do not follow from the log, or no longer do.
    `outside` splits the events of that fate by reason. `differences` lists the first `NAMED_DIFFERENCES` of
    `total_differences`.
    """

    inputs: int
    fates: Mapping[str, int]
    outside: Mapping[str, int]
    pending: int
    examples_expected: int
    examples_found: int
    lost: int
    unexpected: int
    differing: int
    duplicated: int
    duplicated_differing: int
    replayed: int
    dead_letters_expected: int
    dead_letters_missing: int
    dead_letters_extra: int
    dead_letters_differing: int
    dead_letters_repeated: int
    dead_letters_repeated_differing: int
    dead_letters_mended: int
    differences: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """True if nothing is lost, unexpected or different."""
        return not self.total_differences

    @property
    def total_differences(self) -> int:
        """All examples and dead letters, and copies of them, that are lost, unexpected or different."""
        return (
            self.lost
            + self.unexpected
            + self.differing
            + self.duplicated_differing
            + self.dead_letters_missing
            + self.dead_letters_extra
            + self.dead_letters_differing
            + self.dead_letters_repeated_differing
        )

    def as_dict(self) -> dict[str, Any]:
        """All fields, for JSON."""
        return {**asdict(self), "ok": self.ok}


def compare(
    reference: ReferenceResult,
    codec: Codec,
    examples: Iterable[LogRecord],
    dead_letters: Iterable[LogRecord],
    offline: Mapping[DecisionKey, bytes | None] = MappingProxyType({}),
) -> ReconcileReport:
    """Compare the reference with the records read from the examples and dead-letters topics.

    For each decision whose first example was written by a replay of dead letters, `offline` contains the example that
    an offline join produces now, or None. Dead letters about topics other than the reference's (from a replay or the
    learner) are ignored. Raises SchemaError when a record of an output topic cannot be decoded.
    """
    found, copies = _first_examples(codec, examples)
    letters, repeated = _first_dead_letters(codec, dead_letters, reference.topic)
    replayed = _verified(codec, found, offline, reference)
    of_examples = _differences(
        {decision: value for decision, value in reference.examples.items() if decision not in replayed},
        {decision: value for decision, value in found.items() if decision not in replayed},
        lambda wanted, got: _same(codec, wanted, got),
    )
    silent = {*(fate.value for fate in SILENT), r.PENDING}
    due = {place: str(fate) for place, fate in reference.fates.items() if fate not in silent}
    replayed_ids = {decision.request_id for decision in replayed}
    fixed = {
        place
        for place, letter in letters.items()
        if letter.decision in replayed_ids and due.get(place) != letter.reason
    }
    of_letters = _differences(
        {place: reason for place, reason in due.items() if place not in fixed},
        {place: letter.reason for place, letter in letters.items() if place not in fixed},
        str.__eq__,
    )
    fates = Counter(str(fate) for fate in reference.fates.values())
    outside = Counter(reference.outside.values())
    named = [
        *of_examples.named("example {key}"),
        *of_letters.named("dead letter of {key}"),
        *copies.named("example {key}"),
        *repeated.named("dead letter of {key}"),
    ]
    return ReconcileReport(
        inputs=len(reference.fates),
        fates={fate: fates[fate] for fate in r.FATES},
        outside={reason.value: outside[reason] for reason in OutsideReason},
        pending=fates[r.PENDING],
        examples_expected=len(reference.examples),
        examples_found=len(found),
        lost=len(of_examples.missing),
        unexpected=len(of_examples.extra),
        differing=len(of_examples.differing),
        duplicated=copies.count,
        duplicated_differing=len(copies.differing),
        replayed=len(replayed),
        dead_letters_expected=len(due),
        dead_letters_missing=len(of_letters.missing),
        dead_letters_extra=len(of_letters.extra),
        dead_letters_differing=len(of_letters.differing),
        dead_letters_repeated=repeated.count,
        dead_letters_repeated_differing=len(repeated.differing),
        dead_letters_mended=len(fixed),
        differences=tuple(named[:NAMED_DIFFERENCES]),
    )


def _verified(
    codec: Codec,
    found: Mapping[DecisionKey, bytes],
    offline: Mapping[DecisionKey, bytes | None],
    reference: ReferenceResult,
) -> set[DecisionKey]:
    """The replayed examples that equal the offline join's or the reference's example."""
    verified = set()
    for decision, joined_again in offline.items():
        wanted = [value for value in (joined_again, reference.examples.get(decision)) if value is not None]
        if decision in found and any(_same(codec, value, found[decision]) for value in wanted):
            verified.add(decision)
    return verified


class _Letter(NamedTuple):
    reason: str
    decision: str | None


@dataclass(frozen=True)
class _Differences:
    missing: list[Any]
    extra: list[Any]
    differing: list[Any]

    def named(self, subject: str) -> Iterator[str]:
        for keys, fault in ((self.missing, "is missing"), (self.extra, "is not expected"), (self.differing, "differs")):
            for key in keys:
                yield f"{subject.format(key=key)} {fault}"


def _differences(due: Mapping[K, V], found: Mapping[K, V], same: Callable[[V, V], bool]) -> _Differences:
    return _Differences(
        missing=[key for key in due if key not in found],
        extra=[key for key in found if key not in due],
        differing=[key for key in due if key in found and not same(due[key], found[key])],
    )


@dataclass
class _Copies:
    """Copies after the first: how many, and the keys of those with different content."""

    count: int = 0
    differing: list[Any] = field(default_factory=list)

    def add(self, key: Any, *, same: bool) -> None:
        self.count += 1
        if not same:
            self.differing.append(key)

    def named(self, subject: str) -> Iterator[str]:
        for key in self.differing:
            yield f"a later copy of {subject.format(key=key)} has different content"


def _first_examples(codec: Codec, examples: Iterable[LogRecord]) -> tuple[dict[DecisionKey, bytes], _Copies]:
    first: dict[DecisionKey, bytes] = {}
    copies = _Copies()
    for record in examples:
        decision, value = DecisionKey.of_example(codec.decode(record.value).record), record.value or b""
        if decision in first:
            copies.add(decision, same=_same(codec, first[decision], value))
        else:
            first[decision] = value
    return first, copies


def _first_dead_letters(
    codec: Codec, dead_letters: Iterable[LogRecord], topic: str | None
) -> tuple[dict[Place, _Letter], _Copies]:
    first: dict[Place, _Letter] = {}
    copies = _Copies()
    for record in dead_letters:
        letter = cast(r.DeadLetterRecord, codec.decode(record.value).record)
        place = (letter["partition"], letter["offset"])
        if letter["topic"] != topic:
            continue
        found = _Letter(letter["reason"], decision_of(letter))
        if place in first:
            copies.add(place, same=found == first[place])
        else:
            first[place] = found
    return first, copies


def _same(codec: Codec, expected: bytes, found: bytes) -> bool:
    return expected == found or codec.decode(expected).record == codec.decode(found).record
