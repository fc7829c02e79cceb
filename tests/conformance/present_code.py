"""What Trimtab's own code answers to the vectors of each subject."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from math import isnan
from typing import Any

from event_schemas.action_space import (
    ActionSpace,
    Axis,
    Bounds,
    box_action_space,
    catalogue_action_space,
    grid_action_space,
)
from event_schemas.codec import HEADER, Codec
from event_schemas.exploration_units import log_unit_of, unit_of
from event_schemas.registry import Registry, without_logical_types
from event_schemas.schema_lifting import lifting_suffix
from event_schemas.slices import Slice, coin, draw_arm, draw_sampling, draw_slice
from policy_store.records.canonical_json import canonical_json, parse_object
from policy_store.records.checkpoint_record import CheckpointManifest, check_blobs
from policy_store.records.governed_record import decode_signature, encode_signature
from policy_store.records.signing import SigningKey, TrustedKeys
from policy_store.records.store_errors import RecordMalformed, SignatureInvalid
from producers.topics.key_partition import murmur2, partition_of
from tests.conformance import present_draws
from tests.conformance.vector_files import (
    ArmExpected,
    ArmGiven,
    CoinExpected,
    CoinGiven,
    FrameExpected,
    FrameGiven,
    JsonExpected,
    JsonGiven,
    KeyExpected,
    KeyGiven,
    LiftExpected,
    LiftGiven,
    ManifestExpected,
    ManifestGiven,
    Refused,
    SignatureExpected,
    SignatureGiven,
    SliceExpected,
    SliceGiven,
    SpaceExpected,
    SpaceGiven,
)

REFUSED = Refused(refused=True)


def answer_coin(given: CoinGiven) -> CoinExpected:
    digest = hashlib.sha256(f"{given.salt}\0{given.purpose}\0{given.id}".encode()).digest()
    return CoinExpected(first_8_bytes=digest[:8].hex(), draw=coin(given.salt, given.purpose, given.id))


def answer_slice(given: SliceGiven) -> SliceExpected:
    unit = unit_of(given.request_id, given.unit)
    drawn = draw_slice(given.salt, unit, exploration_rate=given.exploration_rate, control_rate=given.control_rate)
    falls_back = drawn.slice is Slice.POLICY and not given.policy_usable
    ended = Slice.FALLBACK if falls_back else drawn.slice
    logged_by = log_unit_of(given.request_id, given.user_id, given.log_unit or given.unit, given.unit)
    sampled = draw_sampling(given.salt, logged_by, ended, given.log_rate)
    return SliceExpected(
        slice=ended.value,
        slice_probability=drawn.slice_probability,
        logged=sampled.logged,
        sampling_rate=sampled.sampling_rate,
    )


def answer_arm(given: ArmGiven) -> ArmExpected:
    drawn = draw_arm(_space_of(given), given.draw, given.eligible, given.production_share)
    return ArmExpected(arm=drawn.arm, propensity=drawn.propensity)


def answer_partition(given: KeyGiven) -> KeyExpected:
    key = bytes.fromhex(given.key)
    return KeyExpected(murmur2=murmur2(key), partition=[partition_of(key, count) for count in given.partitions])


def answer_space(given: SpaceGiven) -> SpaceExpected:
    section = given.model_dump(exclude_none=True)
    space = present_draws.experiment_of(section).action_space
    canonical = canonical_json(section).decode()
    return SpaceExpected(
        canonical=canonical,
        sha256=space.digest,
        arms=space.arms,
        production_arm=space.production_arm,
        weights=[row for row in space.weights.tolist() if row and not isnan(row[0])],
    )


def answer_json(given: JsonGiven) -> JsonExpected | Refused:
    try:
        stored = canonical_json(parse_object(given.json_text.encode("utf-8"), "the vector"))
    except RecordMalformed:
        return REFUSED
    return JsonExpected(canonical=stored.decode(), bytes=stored.hex(), sha256=hashlib.sha256(stored).hexdigest())


def answer_manifest(given: ManifestGiven) -> ManifestExpected:
    key = SigningKey.parse(given.signing_key)
    blobs = {name: bytes.fromhex(blob) for name, blob in given.blobs.items()}
    manifest = canonical_json(parse_object(given.json_text.encode("utf-8"), "the vector"))
    check_blobs(CheckpointManifest.parse(manifest), blobs)
    signature = key.sign(manifest)
    TrustedKeys.of(key).verify(key.key_id, manifest, signature, "the vector")
    return ManifestExpected(
        manifest=manifest.decode(),
        sha256=hashlib.sha256(manifest).hexdigest(),
        key_id=key.key_id,
        trusted_key=key.public_text(),
        signature=encode_signature(signature),
    )


def answer_signature(given: SignatureGiven) -> SignatureExpected | Refused:
    trusted = TrustedKeys.parse(given.trusted_keys)
    try:
        signature = decode_signature(given.signature, "the vector")
        role = trusted.verify(given.key_id, given.signed.encode("utf-8"), signature, "the vector")
    except SignatureInvalid:
        return REFUSED
    return SignatureExpected(role=role.value)


def answer_frame(given: FrameGiven) -> FrameExpected:
    known = Registry.bundled().entries()
    [entry] = [each for each in known if (each.name, each.version) == (given.record, given.version)]
    codec = Codec(Registry([dataclasses.replace(entry, schema_id=given.schema_id)]))
    framed = codec.encode(given.record, given.fields)
    if codec.decode(framed).record != given.fields:
        raise ValueError("the fields do not survive")
    return FrameExpected(header=framed[: HEADER.size].hex(), datum=framed[HEADER.size :].hex())


def answer_lift(given: LiftGiven) -> LiftExpected:
    known = {(each.name, each.version): each for each in Registry.bundled().entries()}
    older, newest = known[given.record, given.version], known[given.record, given.newest]
    suffix = lifting_suffix(without_logical_types(older.schema), without_logical_types(newest.schema))
    if suffix is None:
        raise ValueError("cannot be lifted")
    lifted = bytes.fromhex(given.datum) + suffix
    codec = Codec(Registry.bundled())
    read = codec.decode_datum(older.schema_id, bytes.fromhex(given.datum))
    if codec.decode_datum(newest.schema_id, lifted) != read:
        raise ValueError("another record")
    return LiftExpected(datum=lifted.hex())


def _space_of(given: ArmGiven) -> ActionSpace:
    if given.kind == "box":
        return box_action_space([Bounds("repin", 1.0, 0.0, 2.0)])
    if given.kind == "catalogue":
        names = [f"arm {number}" for number in range(given.arms)]
        return catalogue_action_space(names[given.production_arm], [], {name: [] for name in names})
    return grid_action_space([Axis("repin", 1.0, 0.0, 2.0, given.arms - 1)])


ANSWERS: dict[str, Callable[[Any], Any]] = {
    "action_space_digests": answer_space,
    "arms": answer_arm,
    "canonical_json": answer_json,
    "checkpoint_manifests": answer_manifest,
    "coins": answer_coin,
    "experiment_arms": present_draws.answer_experiment,
    "exploration_settings": present_draws.answer_settings,
    "exploration_units": present_draws.answer_unit,
    "explored_vectors": present_draws.answer_explored,
    "framing": answer_frame,
    "lifting": answer_lift,
    "log_units": present_draws.answer_log_unit,
    "murmur2_partitions": answer_partition,
    "policy_arms": present_draws.answer_policy_arm,
    "policy_vectors": present_draws.answer_policy_vector,
    "signatures": answer_signature,
    "slices": answer_slice,
    "truncated_normals": present_draws.answer_normal,
}
