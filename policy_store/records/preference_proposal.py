"""A proposal to change the preference: one person makes it, a person approves or rejects it; it is never deleted."""

from __future__ import annotations

import uuid
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from policy_store.records.canonical_json import canonical_json
from policy_store.records.governed_record import MAX_NAME, MAX_REASON, Name, Revision, field_problems
from policy_store.records.preference_record import PreferenceTarget
from policy_store.records.store_errors import RecordMalformed


class ProposalStatus(StrEnum):
    """The state of a proposal: open until somebody decides."""

    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"


class PreferenceProposal(BaseModel):
    """Proposes `target` for `cohort` (None: the default); it was made when `base_revision` was in force."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    proposal_id: Name
    experiment: Name
    cohort: str | None
    target: PreferenceTarget
    by: Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
    reason: Annotated[str, Field(max_length=MAX_REASON)] = ""
    created_at: Revision
    base_revision: Revision | None
    status: ProposalStatus = ProposalStatus.OPEN
    decided_by: str | None = None
    decided_at: Revision | None = None
    decided_reason: str | None = None

    def canonical(self) -> bytes:
        """The bytes that are stored."""
        return canonical_json(self.model_dump(mode="json"))

    @classmethod
    def parse(cls, payload: bytes) -> Self:
        """The proposal in `payload`. Raises a RecordMalformed that names the field."""
        try:
            return cls.model_validate_json(payload)
        except ValidationError as error:
            raise RecordMalformed(
                f"proposal: {field_problems(error)}", fix="remove it from the store and propose again"
            ) from error

    def decided(self, status: ProposalStatus, by: str, reason: str, at_ms: int) -> Self:
        """This proposal after a decision."""
        decision = {"status": status, "decided_by": by, "decided_reason": reason, "decided_at": at_ms}
        return self.model_copy(update=decision)


def new_proposal_id(source: uuid.UUID) -> str:
    """A short readable id made from the UUID."""
    return f"p-{source.hex[:12]}"
