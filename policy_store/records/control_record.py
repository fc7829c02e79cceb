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
"""How many bytes a kill may have that breaks the rules for records."""


class ControlRecord(GovernedRecord):
    """A kill (`killed` true), or a resume that lifts the kills whose hashes `resumes` names.

    A kill has the JSON of version 0.1.0, whose nodes refuse unknown fields and must obey it; that it has its own
    revision for parent tells it from one of that version. A resume that names nothing was written by version 0.1.0.
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
        """Whether this is a kill of this version, which no resume of version 0.1.0 lifts."""
        return self.killed and self.parent_revision == self.revision

    @classmethod
    def parse(cls, payload: bytes) -> Self:
        """The record in `payload`; a kill of whatever other content is one, for stopping is the safe direction.

        Raises RecordMalformed naming the field.
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
    """What can be used of a kill that breaks some rule for records; only a resume that names it lifts it.

    None for what is no kill by its own word: an object with `killed` true, of at most MAX_ODD_KILL bytes.
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
    """An object in which a key that appears twice with two values has none."""
    content: dict[str, Any] = {}
    for name, value in pairs:
        content[name] = value if content.setdefault(name, value) == value else None
    return content


def _parse_int(digits: str) -> int:
    """No revision has more digits, and Python itself refuses numbers of some thousands."""
    return int(digits[:20])


def _text(value: Any, limit: int) -> str:
    text = value if isinstance(value, str) else ""
    return text.encode("utf-8", "replace").decode("utf-8")[:limit]


@dataclass(frozen=True, slots=True)
class ControlRecords:
    """Everything a store holds about kills and resumes, unverified.

    slot      the record in `control`; None when there is none
    kills     field of the hash `kills` → record
    resumes   field of the hash `resumes` → record
    history   what `control` has held, newest first; None for an item that is no signed record
    faults    what could not be read, in words
    """

    slot: SignedRecord | None = None
    kills: Mapping[str, SignedRecord] = field(default_factory=dict)
    resumes: Mapping[str, SignedRecord] = field(default_factory=dict)
    history: tuple[SignedRecord | None, ...] = ()
    faults: tuple[str, ...] = ()
