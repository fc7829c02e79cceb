"""Whether what the join wrote is what the log demands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from event_schemas import records as r
from event_schemas.codec import Codec
from event_schemas.log_record import LogRecord
from stream_processors.fates import SILENT
from stream_processors.reference_join import Place, ReferenceResult

K = TypeVar("K")
V = TypeVar("V")
NAMED = 20
"""At most this many differences are named one by one."""


@dataclass(frozen=True)
class ReconcileReport:
    """Counts of input events by fate, of examples and of dead letters, expected and found.

    `lost` examples are missing and `unexpected` ones have no complete decision; `differing` ones have another content
    than the reference's (rewards included). `duplicated` counts copies after the first of a request_id and
    `dead_letters_repeated` those of a dead letter: readers keep the first copy, so they are no difference.
    `differences` names the first few.
    """

    inputs: int
    fates: Mapping[str, int]
    pending: int
    examples_expected: int
    examples_found: int
    lost: int
    unexpected: int
    differing: int
    duplicated: int
    dead_letters_expected: int
    dead_letters_missing: int
    dead_letters_extra: int
    dead_letters_differing: int
    dead_letters_repeated: int
    differences: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """True when nothing is lost, unexpected or different."""
        return not (
            self.lost
            or self.unexpected
            or self.differing
            or self.dead_letters_missing
            or self.dead_letters_extra
            or self.dead_letters_differing
        )

    def as_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {**asdict(self), "ok": self.ok}


def compare(
    reference: ReferenceResult, codec: Codec, examples: Iterable[LogRecord], dead_letters: Iterable[LogRecord]
) -> ReconcileReport:
    """Compares the reference with the records read from the examples and dead-letters topics.

    Dead letters about other topics than the reference's (from a replay or the learner) are left aside. Raises
    SchemaError when a record of an output topic cannot be decoded.
    """
    found, duplicated = _first_examples(codec, examples)
    letters, repeated = _first_dead_letters(codec, dead_letters, reference.topic)
    silent = {*(fate.value for fate in SILENT), r.PENDING}
    due = {place: str(fate) for place, fate in reference.fates.items() if fate not in silent}
    of_examples = _differences(reference.examples, found, lambda wanted, got: _same(codec, wanted, got))
    of_letters = _differences(due, letters, str.__eq__)
    fates = Counter(str(fate) for fate in reference.fates.values())
    named = [
        *of_examples.named("example {key}"),
        *of_letters.named("dead letter of {key}"),
    ]
    return ReconcileReport(
        inputs=len(reference.fates),
        fates={fate: fates[fate] for fate in r.FATES},
        pending=fates[r.PENDING],
        examples_expected=len(reference.examples),
        examples_found=len(found),
        lost=len(of_examples.missing),
        unexpected=len(of_examples.extra),
        differing=len(of_examples.differing),
        duplicated=duplicated,
        dead_letters_expected=len(due),
        dead_letters_missing=len(of_letters.missing),
        dead_letters_extra=len(of_letters.extra),
        dead_letters_differing=len(of_letters.differing),
        dead_letters_repeated=repeated,
        differences=tuple(named[:NAMED]),
    )


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


def _first_examples(codec: Codec, examples: Iterable[LogRecord]) -> tuple[dict[str, bytes], int]:
    first: dict[str, bytes] = {}
    copies = 0
    for record in examples:
        request_id = codec.decode(record.value).record["request"]["request_id"]
        if request_id in first:
            copies += 1
        else:
            first[request_id] = record.value or b""
    return first, copies


def _first_dead_letters(
    codec: Codec, dead_letters: Iterable[LogRecord], topic: str | None
) -> tuple[dict[Place, str], int]:
    first: dict[Place, str] = {}
    copies = 0
    for record in dead_letters:
        letter = codec.decode(record.value).record
        place = (letter["partition"], letter["offset"])
        if letter["topic"] != topic:
            continue
        if place in first:
            copies += 1
        else:
            first[place] = letter["reason"]
    return first, copies


def _same(codec: Codec, expected: bytes, found: bytes) -> bool:
    return expected == found or codec.decode(expected).record == codec.decode(found).record
