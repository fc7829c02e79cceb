"""Coins, slices, arms, partitions and framing as a client in another language would write them.

Written from the `rule` texts of `event_schemas/conformance/` alone. It shares no code with Trimtab, so that what it
answers shows that the texts suffice.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable
from importlib import resources
from typing import Any

from tests.conformance import other_draws, other_json
from tests.conformance.other_draws import draw, first_8_bytes, log_unit_of, unit_of
from tests.conformance.vector_files import (
    ArmExpected,
    ArmGiven,
    CoinExpected,
    CoinGiven,
    FrameExpected,
    FrameGiven,
    KeyExpected,
    KeyGiven,
    LiftExpected,
    LiftGiven,
    SliceExpected,
    SliceGiven,
)

SCHEMAS = resources.files("event_schemas") / "avsc"
U32 = 1 << 32
M = 0x5BD1E995


def answer_coin(given: CoinGiven) -> CoinExpected:
    first = first_8_bytes(given.salt, given.purpose, given.id)
    return CoinExpected(first_8_bytes=first.hex(), draw=draw(given.salt, given.purpose, given.id))


def answer_slice(given: SliceGiven) -> SliceExpected:
    unit = unit_of(given.request_id, given.unit)

    def u(purpose: str) -> float:
        return draw(given.salt, purpose, unit)

    explores = u("explore") < given.exploration_rate
    if explores or u("control") < given.control_rate:
        probability = given.exploration_rate if explores else (1 - given.exploration_rate) * given.control_rate
        name = "EXPLORE" if explores else "CONTROL"
        return SliceExpected.model_validate(
            {"slice": name, "slice_probability": probability, "logged": True, "sampling_rate": 1.0}
        )
    return SliceExpected(
        slice="POLICY" if given.policy_usable else "FALLBACK",
        slice_probability=(1 - given.exploration_rate) * (1 - given.control_rate),
        logged=draw(given.salt, "log", log_unit_of(given.request_id, given.user_id, given.unit, given.log_unit))
        < given.log_rate,
        sampling_rate=given.log_rate,
    )


def answer_arm(given: ArmGiven) -> ArmExpected:
    others = sorted(set(given.eligible)) or list(range(given.arms))
    share = 0.0
    if given.kind != "catalogue" and given.production_arm in others:
        others.remove(given.production_arm)
        share = given.production_share if others else 1.0
    if given.draw < share or share == 1:
        return ArmExpected(arm=given.production_arm, propensity=share)
    count = len(others)
    position = min(math.floor((given.draw - share) / (1 - share) * count), count - 1)
    return ArmExpected(arm=others[position], propensity=(1 - share) / count)


def answer_partition(given: KeyGiven) -> KeyExpected:
    h = _murmur2(bytes.fromhex(given.key))
    return KeyExpected(murmur2=h, partition=[h % (1 << 31) % count for count in given.partitions])


def answer_frame(given: FrameGiven) -> FrameExpected:
    header = b"\x00" + given.schema_id.to_bytes(4, "big")
    return FrameExpected(header=header.hex(), datum=_avro(_schema(given.record, given.version), given.fields).hex())


def answer_lift(given: LiftGiven) -> LiftExpected:
    older, newest = (_schema(given.record, version)["fields"] for version in (given.version, given.newest))
    added = [field for field in newest if field["name"] not in {known["name"] for known in older}]
    suffix = b"".join(_avro(field["type"], field["default"]) for field in added)
    return LiftExpected(datum=given.datum + suffix.hex())


def _schema(record: str, version: int) -> Any:
    return json.loads(SCHEMAS.joinpath(f"{record}.v{version}.avsc").read_text(encoding="utf-8"))


def _murmur2(key: bytes) -> int:
    h = 0x9747B28C ^ len(key)
    whole = len(key) // 4
    for (k,) in struct.iter_unpack("<I", key[: 4 * whole]):
        k = k * M % U32
        k ^= k >> 24
        h = h * M % U32 ^ k * M % U32
    tail = key[4 * whole :]
    if tail:
        for place, byte in enumerate(tail):
            h ^= byte << 8 * place
        h = h * M % U32
    h ^= h >> 13
    h = h * M % U32
    return h ^ h >> 15


def _avro(schema: Any, value: Any) -> bytes:
    if isinstance(schema, list):
        branch = next(n for n, each in enumerate(schema) if (each == "null") == (value is None))
        return _long(branch) + _avro(schema[branch], value)
    kind = schema["type"] if isinstance(schema, dict) else schema
    if isinstance(kind, dict | list):
        return _avro(kind, value)
    if kind == "record":
        return b"".join(_avro(field["type"], value[field["name"]]) for field in schema["fields"])
    if kind == "array":
        items = b"".join(_avro(schema["items"], each) for each in value)
        return (_long(len(value)) + items if value else b"") + b"\x00"
    if kind == "enum":
        return _long(schema["symbols"].index(value))
    return _primitive(kind, value)


def _primitive(kind: str, value: Any) -> bytes:
    if kind in ("int", "long"):
        return _long(value)
    if kind == "string":
        text = value.encode("utf-8")
        return _long(len(text)) + bytes(text)
    return b"" if kind == "null" else struct.pack({"float": "<f", "double": "<d"}[kind], value)


def _long(number: int) -> bytes:
    zigzag = 2 * number if number >= 0 else -2 * number - 1
    groups = bytearray()
    while zigzag >= 128:
        groups.append(zigzag % 128 + 128)
        zigzag //= 128
    groups.append(zigzag)
    return bytes(groups)


ANSWERS: dict[str, Callable[[Any], Any]] = {
    "action_space_digests": other_json.answer_space,
    "arms": answer_arm,
    "canonical_json": other_json.answer_json,
    "checkpoint_manifests": other_json.answer_manifest,
    "coins": answer_coin,
    "experiment_arms": other_draws.answer_experiment,
    "exploration_settings": other_draws.answer_settings,
    "exploration_units": other_draws.answer_unit,
    "explored_vectors": other_draws.answer_explored,
    "framing": answer_frame,
    "lifting": answer_lift,
    "log_units": other_draws.answer_log_unit,
    "murmur2_partitions": answer_partition,
    "policy_arms": other_draws.answer_policy_arm,
    "policy_vectors": other_draws.answer_policy_vector,
    "signatures": other_json.answer_signature,
    "slices": answer_slice,
    "truncated_normals": other_draws.answer_normal,
}
