"""Signed records and checkpoints as JSON on a node's disk: exactly the bytes that were signed, in base64.

Reading damaged JSON raises one of NOT_AS_SAVED.
"""

import base64
from collections.abc import Mapping
from typing import Any

from policy_store.records import SignedCheckpoint, SignedRecord

NOT_AS_SAVED = (OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError)
"""What reading a damaged file may raise."""


def encode_record(signed: SignedRecord) -> dict[str, str]:
    """A record as JSON values."""
    return {"record": _text(signed.record), "signature": _text(signed.signature), "key_id": signed.key_id}


def decode_record(content: dict[str, str]) -> SignedRecord:
    """The inverse of encode_record."""
    return SignedRecord(_bytes(content["record"]), _bytes(content["signature"]), _key_id(content))


def encode_checkpoint(signed: SignedCheckpoint) -> dict[str, Any]:
    """A checkpoint as JSON values."""
    return {
        "manifest": _text(signed.manifest),
        "signature": _text(signed.signature),
        "key_id": signed.key_id,
        "blobs": {name: _text(blob) for name, blob in signed.blobs.items()},
    }


def decode_checkpoint(content: dict[str, Any]) -> SignedCheckpoint:
    """The inverse of encode_checkpoint."""
    blobs = {name: _bytes(blob) for name, blob in content["blobs"].items()}
    return SignedCheckpoint(_bytes(content["manifest"]), _bytes(content["signature"]), _key_id(content), blobs)


def fields(content: Any) -> dict[str, Any]:
    """The content, if it is a JSON object."""
    if not isinstance(content, dict):
        raise TypeError(f"{content!r} is not an object")
    return content


def items(content: Any) -> list[Any]:
    """The content, if it is a JSON array."""
    if not isinstance(content, list):
        raise TypeError(f"{content!r} is not an array")
    return content


def numbers(content: Any) -> dict[str, int]:
    """The content, if it is a JSON object of integers."""
    return {name: int(number) for name, number in fields(content).items()}


def texts(content: Any) -> tuple[str, ...]:
    """The content as a tuple, if it is a JSON array of strings."""
    if not all(isinstance(each, str) for each in items(content)):
        raise TypeError(f"{content!r} contains values that are not strings")
    return tuple(content)


def _key_id(content: Mapping[str, Any]) -> str:
    key_id = content["key_id"]
    if not isinstance(key_id, str):
        raise TypeError(f"key_id is not a string: {key_id!r}")
    return key_id


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
