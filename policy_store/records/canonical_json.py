"""Canonical JSON: equal content has equal bytes, and so one signature.

Canonical = sorted keys, no spaces, UTF-8 with only the escapes that JSON requires, no NaN or infinity.
"""

from __future__ import annotations

import json
from typing import Any

from policy_store.records.store_errors import RecordMalformed


def canonical_json(content: Any) -> bytes:
    """Canonical bytes of JSON-like content. Raises RecordMalformed for NaN, infinity or non-JSON values."""
    try:
        text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return text.encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise RecordMalformed(
            f"content cannot be written as canonical JSON: {error}",
            fix="use strings, finite numbers, booleans, null, lists and objects with string keys",
        ) from error


def parse_object(payload: bytes, what: str) -> dict[str, Any]:
    """The JSON object in `payload`; `what` names it in errors.

    Raises RecordMalformed when it is not a JSON object, or contains a key twice (two readers could then disagree about
    what was signed).
    """
    try:
        content = json.loads(payload.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise RecordMalformed(f"{what} is not valid JSON: {error}", fix=_FIX) from error
    if not isinstance(content, dict):
        raise RecordMalformed(f"{what} is JSON but not an object", fix=_FIX)
    return content


_FIX = "publish it again with `trimtab policy` or the learner; do not edit the store by hand"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a key appears twice")
    return content


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")
