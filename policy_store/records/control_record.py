"""The emergency switch: a signed kill stops exploration and the policy on the whole fleet until a resume names it.

Kills and resumes are a set, not a sequence (`policy_store.records.revision_rules`): their revisions order nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from event_schemas.number_bounds import EXACT_INTEGERS
from policy_store.records.governed_record import MAX_NAME, MAX_REASON, GovernedRecord, Sha256, SignedRecord
from policy_store.records.store_errors import RecordMalformed

CONTROL_SLOT = "control"
MAX_RESUMED = 10_000
MAX_ODD_KILL = 65_536
"""Maximum size in bytes of a kill that breaks the rules for records."""


class ControlRecord(GovernedRecord):
    """A kill (`killed` true), or a resume that lifts the kills whose hashes are in `resumes`.

    A kill has the JSON of version 0.1.0, because nodes of that version refuse unknown fields and must obey it. Its
    parent is its own revision, which distinguishes it from a kill of that version. A resume that names no kill was
    written by version 0.1.0.
    """

    kind: Literal["control"] = "control"
    killed: bool
    resumes: Annotated[tuple[Sha256, ...], Field(min_length=1, max_length=MAX_RESUMED)] = ()

    @property
    def slot(self) -> str:
        """`control`."""
        return CONTROL_SLOT

    @property
    def must_be_named(self) -> bool:
        """Whether this is a kill of the current version, which no resume of version 0.1.0 lifts."""
        return self.killed and self.parent_revision == self.revision

    @classmethod
    def parse(cls, payload: bytes) -> Self:
        """The record in `payload`. A malformed kill is still a kill, because stopping is the safe side.

        Raises a RecordMalformed that names the field.
        """
        try:
            return super().parse(payload)
        except RecordMalformed:
            content = _odd_kill(payload)
            if content is None:
                raise
            return cls.from_content(content)

    @model_validator(mode="after")
    def _a_kill_resumes_nothing(self) -> Self:
        if self.killed and self.resumes:
            raise ValueError("a kill cannot resume anything")
        return self

    @model_serializer(mode="wrap")
    def _without_an_empty_resumes(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = handler(self)
        if not self.resumes:
            content.pop("resumes")
        return content


def _odd_kill(payload: bytes) -> dict[str, Any] | None:
    """The usable content of a kill that breaks a rule for records; only a resume that names it lifts it.

    None unless the payload is a JSON object with `killed` true and has at most MAX_ODD_KILL bytes.
    """
    if len(payload) > MAX_ODD_KILL:
        return None
    try:
        content = json.loads(payload.decode("utf-8"), object_pairs_hook=_agreed, parse_int=_parse_int)
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or content.get("kind", "control") != "control":
        return None
    if content.get("killed") is not True:
        return None
    revision = content.get("revision")
    known = revision if type(revision) is int and 1 <= revision < EXACT_INTEGERS else 1
    return {
        "experiment": content.get("experiment"),
        "killed": True,
        "revision": known,
        "parent_revision": known,
        "by": _text(content.get("by"), MAX_NAME) or "somebody",
        "reason": _text(content.get("reason"), MAX_REASON),
    }


def _agreed(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object; a key that appears twice with different values becomes null."""
    content: dict[str, Any] = {}
    for name, value in pairs:
        content[name] = value if content.setdefault(name, value) == value else None
    return content


def _parse_int(digits: str) -> int:
    """The number's first 20 digits: no revision has more, and Python refuses to parse thousands of digits."""
    return int(digits[:20])


def _text(value: Any, limit: int) -> str:
    text = value if isinstance(value, str) else ""
    return text.encode("utf-8", "replace").decode("utf-8")[:limit]


@dataclass(frozen=True, slots=True)
class ControlRecords:
    """All kills and resumes in a store, unverified.

    slot      the record in `control`; None when there is none
    kills     field of the hash `kills` → record
    resumes   field of the hash `resumes` → record
    history   earlier records of `control`, newest first; None for an item that is not a signed record
    faults    parts that could not be read, in words
    """

    slot: SignedRecord | None = None
    kills: Mapping[str, SignedRecord] = field(default_factory=dict)
    resumes: Mapping[str, SignedRecord] = field(default_factory=dict)
    history: tuple[SignedRecord | None, ...] = ()
    faults: tuple[str, ...] = ()
