"""A checkpoint: a manifest that names its blobs by hash, the signature over the manifest, and the blobs.

The manifest is parsed leniently (a newer learner may add fields, which stay part of the signed bytes) but the fields
that readers act on are checked here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from policy_store.records.canonical_json import canonical_json, parse_object
from policy_store.records.governed_record import Name, Revision, Sha256, field_problems
from policy_store.records.signing import SigningKey
from policy_store.records.store_errors import RecordMalformed, SignatureInvalid

POLICY_BLOB = "policy.onnx"
WEIGHTS_BLOB = "weights.safetensors"
EVALUATION_BLOB = "evaluation.json"
RESERVED_FIELDS = frozenset({"manifest", "signature", "key_id"})
Answer = Literal["values", "probabilities", "proposal"]
"""What a network answers for a request: values of every arm and objective, P(arm), or a distribution of weights."""
Selection = Literal["argmax", "sample"]
"""Whether the best arm or the mean is served, or a draw from the distribution that the network answers with."""
OUTPUTS: Mapping[Answer, tuple[str, ...]] = {"values": ("q",), "probabilities": ("pi",), "proposal": ("w", "log_sd")}
"""The outputs of policy.onnx by answer, each with a row for each request: see `docs/guides/checkpoints.md`."""
PREFERENCE_INPUT = "preference"
"""The input for the weights of the objectives, float32 [n, objectives], of graphs that answer for any preference."""
SUM_TOLERANCE = 1e-4
"""How far the sum of an answer's probabilities may be from 1: a network computes them with 32 bits."""
BOUND_TOLERANCE = 1e-6
"""How far outside its bounds a mean may be, as a share of their distance, or an sd, as a share of the bound, for the
same reason; it is moved inside."""
LATER_FIELDS = frozenset({"section_digests", "answer", "selection", "preference"})
"""Fields that earlier versions did not write: a manifest without them keeps its bytes, and so its signature."""
SERVING_DEFAULTS: Mapping[str, Any] = {"answer": "values", "selection": "argmax", "preference": None}
"""How readers that know only format 1 take every checkpoint. A manifest that says otherwise has format 2."""
_BLOB_NAME = r"^[a-z0-9][a-z0-9_]*\.[a-z0-9]+$"
_FIX = "rebuild the checkpoint with `trimtab learn`; do not edit the store by hand"


class BlobEntry(BaseModel):
    """SHA-256 (lower-case hex) and size in bytes of one blob."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    sha256: Sha256
    size: Annotated[int, Field(ge=0)]


class CheckpointManifest(BaseModel):
    """Describes a checkpoint, what it was trained on and what it may be used for. Times are in epoch milliseconds.

    Readers refuse a format that they do not know, but ignore unknown fields. A field that changes what must be served
    therefore needs a new format: version 0.1.0 knows only format 1, and would serve a pinned checkpoint under any
    preference. If `format` is left out, it is the lowest that the other fields allow.
    """

    model_config = ConfigDict(frozen=True, extra="allow", strict=True, ser_json_inf_nan="constants")

    format: Literal[1, 2] = 1
    version: Name
    experiment: Name
    created_at: Revision
    algorithm: str
    action_space: Sha256
    arms: Annotated[int, Field(ge=1)]
    objectives: Annotated[list[str], Field(min_length=1)]
    feature_contract: str
    feature_spec: dict[str, Any] = Field(default_factory=dict)
    window: dict[str, Any] = Field(default_factory=dict)
    parent: Name | None = None
    evaluation: dict[str, Any] = Field(default_factory=dict)
    blobs: dict[Annotated[str, Field(pattern=_BLOB_NAME)], BlobEntry]
    reference: dict[str, Any] = Field(default_factory=dict)
    policy: dict[str, Any] = Field(default_factory=dict)
    section_digests: dict[str, str] | None = None
    """Of the learner's experiment file; version 0.1.0 wrote none."""
    answer: Answer = "values"
    selection: Selection = "argmax"
    preference: dict[str, Annotated[float, Field(ge=0.0, le=1.0)]] | None = None
    """The weights of the objectives that the network was trained for, if it answers for no others."""

    @model_validator(mode="before")
    @classmethod
    def _lowest_format(cls, content: Any) -> Any:
        if not isinstance(content, dict) or "format" in content:
            return content
        needs_format_2 = any(content.get(name, default) != default for name, default in SERVING_DEFAULTS.items())
        return {**content, "format": 2 if needs_format_2 else 1}

    @field_validator(*SERVING_DEFAULTS)
    @classmethod
    def _no_reader_ignores_it(cls, value: Any, info: ValidationInfo) -> Any:
        if info.data.get("format") == 1 and value != SERVING_DEFAULTS[str(info.field_name)]:
            raise ValueError("needs format 2, because readers that know only format 1 ignore this field")
        return value

    def canonical(self) -> bytes:
        """The bytes that are signed and stored. Raises RecordMalformed for NaN or infinity."""
        return canonical_json(self.model_dump(mode="json", exclude=set(LATER_FIELDS - self.model_fields_set)))

    @classmethod
    def parse(cls, payload: bytes) -> Self:
        """The manifest in `payload`. Raises a RecordMalformed that names the field."""
        content = parse_object(payload, "the checkpoint manifest")
        try:
            return cls.model_validate_json(canonical_json(content))
        except ValidationError as error:
            raise RecordMalformed(f"checkpoint manifest: {field_problems(error)}", fix=_FIX) from error

    @property
    def verdict(self) -> str | None:
        """The gate's verdict in the evaluation summary: pass, inconclusive, refuse; None when not evaluated."""
        verdict = self.evaluation.get("verdict")
        return verdict if isinstance(verdict, str) else None


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """Manifest bytes, the Ed25519 signature (64 bytes) over exactly these bytes, key id, and blobs by name."""

    manifest: bytes
    signature: bytes
    key_id: str
    blobs: Mapping[str, bytes] = field(repr=False)

    def parsed(self) -> CheckpointManifest:
        """The manifest. Raises RecordMalformed."""
        return CheckpointManifest.parse(self.manifest)


def describe_blobs(blobs: Mapping[str, bytes]) -> dict[str, BlobEntry]:
    """Hash and size of each blob, for the manifest."""
    return {name: BlobEntry(sha256=hashlib.sha256(blob).hexdigest(), size=len(blob)) for name, blob in blobs.items()}


def check_blobs(manifest: CheckpointManifest, blobs: Mapping[str, bytes]) -> None:
    """Raises SignatureInvalid unless `blobs` are exactly those that the manifest names, byte for byte."""
    fix = "publish the checkpoint again: the store was changed after signing, or the upload was incomplete"
    if set(blobs) != set(manifest.blobs):
        missing = ", ".join(sorted(set(manifest.blobs) - set(blobs))) or "none"
        extra = ", ".join(sorted(set(blobs) - set(manifest.blobs))) or "none"
        raise SignatureInvalid(
            f"checkpoint {manifest.version}: missing blobs: {missing}; blobs not in the manifest: {extra}", fix=fix
        )
    for name, found in describe_blobs(blobs).items():
        if found != manifest.blobs[name]:
            raise SignatureInvalid(
                f"checkpoint {manifest.version}: blob {name} differs from the signed manifest", fix=fix
            )


def sign_checkpoint(manifest: CheckpointManifest, blobs: Mapping[str, bytes], key: SigningKey) -> SignedCheckpoint:
    """The checkpoint, signed with `key`. Raises SignatureInvalid when blobs and manifest do not match."""
    check_blobs(manifest, blobs)
    payload = manifest.canonical()
    return SignedCheckpoint(payload, key.sign(payload), key.key_id, dict(blobs))
