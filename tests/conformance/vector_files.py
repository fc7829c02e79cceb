"""The conformance vectors as they ship, read into types: a field too many, too few or of another type is an error."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import Field

from tests.conformance.draw_vectors import (
    ExperimentExpected,
    ExperimentGiven,
    ExploredExpected,
    ExploredGiven,
    LogUnitExpected,
    LogUnitGiven,
    NormalExpected,
    NormalGiven,
    PolicyArmGiven,
    PolicyVectorExpected,
    PolicyVectorGiven,
    SettingsExpected,
    SettingsGiven,
    UnitExpected,
    UnitGiven,
)
from tests.conformance.vector_parts import LogUnit, Part, Sha256, Share

FOLDER = resources.files("event_schemas") / "conformance"
Hex = Annotated[str, Field(pattern=r"^([0-9a-f]{2})*$")]


class CoinGiven(Part):
    salt: str
    purpose: str
    id: str


class CoinExpected(Part):
    first_8_bytes: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    draw: Share


class SliceGiven(Part):
    salt: str
    request_id: str
    exploration_rate: Share
    control_rate: Share
    log_rate: Share
    policy_usable: bool
    unit: Literal["request", "session"] = "request"
    log_unit: LogUnit | None = None
    user_id: str | None = None


class SliceExpected(Part):
    slice: Literal["EXPLORE", "CONTROL", "POLICY", "FALLBACK"]
    slice_probability: Share
    logged: bool
    sampling_rate: Share


class ArmGiven(Part):
    kind: Literal["grid", "box", "catalogue"]
    arms: int
    production_arm: int
    production_share: Share
    eligible: list[int]
    draw: Share


class ArmExpected(Part):
    arm: int
    propensity: Share


class KeyGiven(Part):
    key: Hex
    partitions: list[int]


class KeyExpected(Part):
    murmur2: Annotated[int, Field(ge=0, lt=2**32)]
    partition: list[int]


class WeightGiven(Part):
    name: str
    production: float
    low: float
    high: float
    steps: int | None = None
    group: str | None = None


class CatalogueArm(Part):
    name: str
    features: list[float]


class CatalogueGiven(Part):
    production: str
    features: list[str]
    arms: list[CatalogueArm]


class WeightSpace(Part):
    weights: list[WeightGiven]


class CatalogueSpace(Part):
    catalogue: CatalogueGiven


SpaceGiven = WeightSpace | CatalogueSpace


class SpaceExpected(Part):
    canonical: str
    sha256: Sha256
    arms: int
    production_arm: int
    weights: list[list[float]]


class JsonGiven(Part):
    json_text: str


class JsonExpected(Part):
    canonical: str
    bytes: Hex
    sha256: Sha256


class Refused(Part):
    """What must not be accepted."""

    refused: Literal[True]


class ManifestGiven(Part):
    json_text: str
    blobs: dict[str, Hex]
    signing_key: str


class ManifestExpected(Part):
    manifest: str
    sha256: Sha256
    key_id: str
    trusted_key: str
    signature: str


class SignatureGiven(Part):
    trusted_keys: str
    key_id: str
    signed: str
    signature: str


class SignatureExpected(Part):
    role: Literal["learner", "governance"]


class FrameGiven(Part):
    record: str
    version: int
    schema_id: int
    fields: dict[str, Any]


class FrameExpected(Part):
    header: Hex
    datum: Hex


class LiftGiven(Part):
    record: str
    version: int
    newest: int
    datum: Hex


class LiftExpected(Part):
    datum: Hex


Given = TypeVar("Given")
Expected = TypeVar("Expected")


class Vector(Part, Generic[Given, Expected]):
    given: Given
    expected: Expected
    why: Annotated[str, Field(min_length=10)]


class VectorFile(Part, Generic[Given, Expected]):
    description: Annotated[str, Field(min_length=10)]
    rule: Annotated[list[str], Field(min_length=2)]
    vectors: Annotated[list[Vector[Given, Expected]], Field(min_length=3)]


SHAPES: dict[str, type[VectorFile[Any, Any]]] = {
    "action_space_digests": VectorFile[SpaceGiven, SpaceExpected],
    "arms": VectorFile[ArmGiven, ArmExpected],
    "canonical_json": VectorFile[JsonGiven, JsonExpected | Refused],
    "checkpoint_manifests": VectorFile[ManifestGiven, ManifestExpected],
    "coins": VectorFile[CoinGiven, CoinExpected],
    "exploration_settings": VectorFile[SettingsGiven, SettingsExpected],
    "experiment_arms": VectorFile[ExperimentGiven, ExperimentExpected],
    "exploration_units": VectorFile[UnitGiven, UnitExpected],
    "explored_vectors": VectorFile[ExploredGiven, ExploredExpected],
    "framing": VectorFile[FrameGiven, FrameExpected],
    "lifting": VectorFile[LiftGiven, LiftExpected],
    "log_units": VectorFile[LogUnitGiven, LogUnitExpected],
    "murmur2_partitions": VectorFile[KeyGiven, KeyExpected],
    "policy_arms": VectorFile[PolicyArmGiven, ArmExpected],
    "policy_vectors": VectorFile[PolicyVectorGiven, PolicyVectorExpected],
    "signatures": VectorFile[SignatureGiven, SignatureExpected | Refused],
    "slices": VectorFile[SliceGiven, SliceExpected],
    "truncated_normals": VectorFile[NormalGiven, NormalExpected],
}


@dataclass(frozen=True)
class Case:
    """One vector of a subject; its text names it in test reports."""

    subject: str
    number: int
    given: Any
    expected: Any
    why: str

    def __str__(self) -> str:
        return f"{self.subject}[{self.number}]"


def file_text(subject: str) -> str:
    """The text of a subject's file."""
    return (FOLDER / f"{subject}.json").read_text(encoding="utf-8")


def raw_vectors(subject: str) -> list[dict[str, Any]]:
    """The vectors of a subject as JSON."""
    vectors: list[dict[str, Any]] = json.loads(file_text(subject))["vectors"]
    return vectors


def cases(subject: str) -> list[Case]:
    """The vectors of a subject, in the order of its file."""
    read = SHAPES[subject].model_validate_json(file_text(subject))
    return [Case(subject, n, each.given, each.expected, each.why) for n, each in enumerate(read.vectors)]
