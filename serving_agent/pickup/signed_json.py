"""Signed records and checkpoints as JSON on a node's disk: exactly the bytes that were signed, in base64.

Reading what is no such JSON raises one of NOT_AS_SAVED.
"""

import base64
from collections.abc import Mapping
from typing import Any

from policy_store.records.checkpoint_record import SignedCheckpoint
from policy_store.records.governed_record import SignedRecord

NOT_AS_SAVED = (OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError)
"""What reading a damaged file may raise."""


def encode_record(signed: SignedRecord) -> dict[str, str]:
    """A record as JSON values."""
    return {"record": _text(signed.record), "signature": _text(signed.signature), "key_id": signed.key_id}


def decode_record(content: dict[str, str]) -> SignedRecord:
    """The opposite of encode_record."""
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
    """The opposite of encode_checkpoint."""
    blobs = {name: _bytes(blob) for name, blob in content["blobs"].items()}
    return SignedCheckpoint(_bytes(content["manifest"]), _bytes(content["signature"]), _key_id(content), blobs)


def fields(content: Any) -> dict[str, Any]:
    """A JSON object."""
    if not isinstance(content, dict):
        raise TypeError(f"{content!r} is no object")
    return content


def items(content: Any) -> list[Any]:
    """A JSON array."""
    if not isinstance(content, list):
        raise TypeError(f"{content!r} is no array")
    return content


def numbers(content: Any) -> dict[str, int]:
    """A JSON object of integers."""
    return {name: int(number) for name, number in fields(content).items()}


def texts(content: Any) -> tuple[str, ...]:
    """A JSON array of strings."""
    if not all(isinstance(each, str) for each in items(content)):
        raise TypeError(f"{content!r} holds more than texts")
    return tuple(content)


def _key_id(content: Mapping[str, Any]) -> str:
    key_id = content["key_id"]
    if not isinstance(key_id, str):
        raise TypeError(f"key_id is {key_id!r}")
    return key_id


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
