"""Canonical JSON, action-space digests and signatures as a client in another language would write them.

Written from the `rule` texts of `event_schemas/conformance/` alone; only Ed25519 itself comes from a library.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from itertools import product
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from tests.conformance.vector_files import (
    CatalogueGiven,
    CatalogueSpace,
    JsonExpected,
    JsonGiven,
    ManifestExpected,
    ManifestGiven,
    Refused,
    SignatureExpected,
    SignatureGiven,
    SpaceExpected,
    SpaceGiven,
    WeightGiven,
    WeightSpace,
)

REFUSED = Refused(refused=True)
SHORT_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
KEY_ID = re.compile(r"(learner|governance)/[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def answer_json(given: JsonGiven) -> JsonExpected | Refused:
    try:
        text = canonical(_read(given.json_text))
        stored = text.encode("utf-8")
    except ValueError:
        return REFUSED
    return JsonExpected(canonical=text, bytes=stored.hex(), sha256=hashlib.sha256(stored).hexdigest())


def answer_space(given: SpaceGiven) -> SpaceExpected:
    if isinstance(given, WeightSpace):
        return _box(given) if given.weights[0].steps is None else _grid(given)
    return _catalogue(given)


def answer_manifest(given: ManifestGiven) -> ManifestExpected:
    content = _read(given.json_text)
    blobs = {name: bytes.fromhex(blob) for name, blob in given.blobs.items()}
    hashes = {name: {"sha256": hashlib.sha256(b).hexdigest(), "size": len(b)} for name, b in blobs.items()}
    if content["blobs"] != hashes:
        raise ValueError("the manifest names other blobs")
    manifest = canonical(content)
    key_id, _, secret = given.signing_key.partition("=")
    private = Ed25519PrivateKey.from_private_bytes(base64.b64decode(secret))
    public = base64.b64encode(private.public_key().public_bytes_raw()).decode()
    return ManifestExpected(
        manifest=manifest,
        sha256=hashlib.sha256(manifest.encode("utf-8")).hexdigest(),
        key_id=key_id,
        trusted_key=f"{key_id}={public}",
        signature=base64.b64encode(private.sign(manifest.encode("utf-8"))).decode(),
    )


def answer_signature(given: SignatureGiven) -> SignatureExpected | Refused:
    keys = dict(entry.split("=", 1) for entry in given.trusted_keys.split(","))
    if not KEY_ID.fullmatch(given.key_id) or given.key_id not in keys:
        return REFUSED
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(keys[given.key_id]))
    try:
        public.verify(base64.b64decode(given.signature, validate=True), given.signed.encode("utf-8"))
    except (InvalidSignature, ValueError):
        return REFUSED
    return SignatureExpected.model_validate({"role": given.key_id.split("/")[0]})


def _grid(space: WeightSpace) -> SpaceExpected:
    weights = space.weights
    leaders = [
        next(n for n, w in enumerate(weights) if w is each or w.group == each.group is not None) for each in weights
    ]
    columns = [_values(weight) for weight in weights]
    moving = sorted(set(leaders))
    rows = []
    for steps in product(*(range(len(columns[leader])) for leader in moving)):
        step = dict(zip(moving, steps, strict=True))
        rows.append([column[step[leader]] for column, leader in zip(columns, leaders, strict=True)])
    rows.append([weight.production for weight in weights])
    return _space(_section(space), len(rows) - 1, len(rows), rows)


def _values(weight: WeightGiven) -> list[float]:
    steps = weight.steps or 0
    step = (weight.high - weight.low) / (steps - 1)
    return [weight.low + i * step for i in range(steps - 1)] + [weight.high]


def _box(space: WeightSpace) -> SpaceExpected:
    return _space(_section(space), 1, 2, [[weight.production for weight in space.weights]])


def _section(space: WeightSpace) -> str:
    fields = [[(name, value) for name, value in weight if value is not None] for weight in space.weights]
    return canonical({"weights": list(map(dict, fields))})


def _catalogue(space: CatalogueSpace) -> SpaceExpected:
    given: CatalogueGiven = space.catalogue
    names = [arm.name for arm in given.arms]
    return _space(canonical(space.model_dump()), names.index(given.production), len(names), [])


def _space(section: str, production: int, arms: int, rows: list[list[float]]) -> SpaceExpected:
    return SpaceExpected(
        canonical=section,
        sha256=hashlib.sha256(section.encode("utf-8")).hexdigest(),
        arms=arms,
        production_arm=production,
        weights=rows,
    )


def _read(text: str) -> Any:
    def unique(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
        content: dict[str, Any] = {}
        for name, value in pairs:
            if name in content:
                raise ValueError("the same key twice")
            content[name] = value
        return content

    def constant(name: str) -> Any:
        raise ValueError(f"{name} is not JSON")

    content = json.loads(text, object_pairs_hook=unique, parse_constant=constant)
    if not isinstance(content, dict):
        raise ValueError("not an object")
    return content


def canonical(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return '"' + "".join(_letter(letter) for letter in value) + '"'
    if isinstance(value, int):
        return f"{value:d}"
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, list):
        return "[" + ",".join(canonical(each) for each in value) + "]"
    names = sorted(value, key=lambda name: [ord(letter) for letter in name])
    return "{" + ",".join(f"{canonical(name)}:{canonical(value[name])}" for name in names) + "}"


def _letter(letter: str) -> str:
    return SHORT_ESCAPES.get(letter) or (f"\\u{ord(letter):04x}" if ord(letter) < 32 else letter)


def _number(value: float) -> str:
    if not math.isfinite(value):
        raise ValueError("not a finite number")
    digits, exponent = _digits(Decimal(abs(value)))
    sign = "-" if math.copysign(1, value) < 0 else ""
    if not -4 <= exponent < 16:
        fraction = "." + digits[1:] if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{fraction}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
    whole, fraction = digits[: exponent + 1].ljust(exponent + 1, "0"), digits[exponent + 1 :]
    return f"{sign}{whole}.{fraction or '0'}"


def _digits(exact: Decimal) -> tuple[str, int]:
    """The fewest digits that read back as the same double, and the exponent of the first of them."""
    for count in range(1, 18):
        around = [Context(prec=count, rounding=way).plus(exact) for way in (ROUND_FLOOR, ROUND_CEILING)]
        right = [written for written in around if float(written) == float(exact)]
        if right:
            best = min(right, key=lambda written: (abs(written - exact), written.as_tuple().digits[-1] % 2))
            text = "".join(map(str, best.as_tuple().digits)).rstrip("0") or "0"
            return text, best.adjusted() if best else 0
    raise AssertionError("17 digits always read back")
