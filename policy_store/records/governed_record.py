"""The fields that all signed decisions have in common: experiment, revision, parent, who decided and why.

`policy_store.records.revision_rules` says how revisions are chosen and checked.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from event_schemas.field_faults import field_faults, told
from event_schemas.number_bounds import EXACT_INTEGERS
from policy_store.records.canonical_json import canonical_json, parse_object
from policy_store.records.signing import SigningKey
from policy_store.records.store_errors import RecordMalformed, SignatureInvalid

MAX_NAME = 200
MAX_REASON = 2000
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]
Revision = Annotated[int, Field(ge=1, lt=EXACT_INTEGERS)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


@dataclass(frozen=True, slots=True)
class SignedRecord:
    """The canonical bytes of a record, the Ed25519 signature (64 bytes) over exactly these bytes, and the key's id."""

    record: bytes
    signature: bytes
    key_id: str

    @property
    def hash(self) -> str:
        """SHA-256 of the record's bytes in lower-case hex, by which resumes and re-bases name the record."""
        return hashlib.sha256(self.record).hexdigest()

    def as_item(self) -> dict[str, str]:
        """The form used in lists and hashes of the store, and in heartbeats."""
        signature = encode_signature(self.signature)
        return {"record": self.record.decode("utf-8"), "signature": signature, "key_id": self.key_id}

    @classmethod
    def from_item(cls, item: Mapping[str, Any], what: str) -> Self:
        """The inverse of `as_item`; `what` names it in errors. Raises RecordMalformed or SignatureInvalid."""
        if not all(isinstance(item.get(name), str) for name in ("record", "signature", "key_id")):
            raise RecordMalformed(f"{what} lacks its record, signature or key id", fix="publish a new record")
        signature = decode_signature(item["signature"], what)
        try:
            return cls(item["record"].encode("utf-8"), signature, item["key_id"])
        except UnicodeEncodeError as error:
            raise RecordMalformed(f"{what} contains text that is not Unicode", fix="publish a new record") from error


def said(by: str, reason: str) -> str:
    """Who decided and why, as text for people."""
    return f"by {by}: {reason or 'no reason given'}"


class GovernedRecord(BaseModel):
    """A decision as JSON. Unknown fields are refused: a reader must not ignore a restriction it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    experiment: Name
    revision: Revision
    parent_revision: Revision | None = None
    by: Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
    reason: Annotated[str, Field(max_length=MAX_REASON)] = ""

    @property
    @abstractmethod
    def slot(self) -> str:
        """The place in the store this record occupies, such as `channel:stable`."""

    def canonical(self) -> bytes:
        """The bytes that are signed and stored. Raises RecordMalformed for NaN or infinity."""
        return canonical_json(self.model_dump(mode="json", exclude_none=False))

    def signed_by(self, key: SigningKey) -> SignedRecord:
        """This record, signed with `key`."""
        payload = self.canonical()
        return SignedRecord(payload, key.sign(payload), key.key_id)

    @classmethod
    def parse(cls, payload: bytes) -> Self:
        """The record in `payload`. Raises a RecordMalformed that names the field."""
        return cls.from_content(parse_object(payload, f"the {cls.__name__}"))

    @classmethod
    def from_content(cls, content: dict[str, Any]) -> Self:
        """The record with this content. Raises a RecordMalformed that names the field."""
        try:
            return cls.model_validate_json(canonical_json(content))
        except ValidationError as error:
            raise RecordMalformed(f"{cls.__name__}: {field_problems(error)}", fix=_FIX) from error


_FIX = "correct the value; to replace a record that is already in the store, publish a new one"


def field_problems(error: ValidationError) -> str:
    """`field = value: message` for each problem that pydantic found."""
    return told(field_faults(error.errors()), "this record")


def encode_signature(signature: bytes) -> str:
    """The signature in base64, as it is stored."""
    return base64.b64encode(signature).decode("ascii")


def decode_signature(text: str | bytes, what: str) -> bytes:
    """The raw signature. Raises SignatureInvalid; `what` names the signed object in it."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise SignatureInvalid(f"{what}: the signature is not base64", fix="publish it again") from error
