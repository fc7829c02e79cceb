"""The emergency switch: a signed kill stops exploration and the policy on the whole fleet until a resume names it.

Kills and resumes are a set, not a sequence (`policy_store.revision_rules`): their revisions order nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from policy_store.governed_record import GovernedRecord, Sha256, SignedRecord

CONTROL_SLOT = "control"
MAX_RESUMED = 10_000


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
