"""What Trimtab's own code answers to the vectors of each subject."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from event_schemas.action_space import ActionSpace, Axis, catalogue_action_space, grid_action_space
from event_schemas.codec import HEADER, Codec
from event_schemas.experiment import parse_experiment
from event_schemas.registry import Registry
from event_schemas.slices import Slice, coin, draw_arm, draw_sampling, draw_slice
from policy_store.records.canonical_json import canonical_json, parse_object
from policy_store.records.checkpoint_record import CheckpointManifest, check_blobs
from policy_store.records.governed_record import decode_signature, encode_signature
from policy_store.records.signing import SigningKey, TrustedKeys
from policy_store.records.store_errors import RecordMalformed, SignatureInvalid
from producers.topics.key_partition import murmur2, partition_of
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
    drawn = draw_slice(
        given.salt, given.request_id, exploration_rate=given.exploration_rate, control_rate=given.control_rate
    )
    falls_back = drawn.slice is Slice.POLICY and not given.policy_usable
    ended = Slice.FALLBACK if falls_back else drawn.slice
    sampled = draw_sampling(given.salt, given.request_id, ended, given.log_rate)
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
    document = {
        "experiment": {"name": "vectors", "salt": "pepper"},
        "objectives": [{"name": "repin", "kinds": ["repin"], "attribution": "30m"}],
        **given.model_dump(),
    }
    space = parse_experiment(document, Path("vectors.toml")).action_space
    canonical = canonical_json(given.model_dump()).decode()
    return SpaceExpected(
        canonical=canonical,
        sha256=space.digest,
        arms=space.arms,
        production_arm=space.production_arm,
        weights=[row for row in space.weights.tolist() if row],
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


def _space_of(given: ArmGiven) -> ActionSpace:
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
    "framing": answer_frame,
    "murmur2_partitions": answer_partition,
    "signatures": answer_signature,
    "slices": answer_slice,
}
