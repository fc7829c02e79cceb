"""The last good snapshot on this machine's disk: what a node serves when it starts and Redis does not answer.

The file holds the signed bytes as the store gave them. They are verified again when read, so that the file needs no
more trust than the store. It is written only after everything in it was verified and loaded.
"""

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from event_schemas.errors import TrimtabError
from event_schemas.process_fork import renew_in_children
from policy_store.checkpoint_record import SignedCheckpoint
from policy_store.governed_record import SignedRecord

FORMAT = 1
FILE_NAME = "last_good_snapshot.json"


class SnapshotUnreadable(TrimtabError):
    """The file on disk is not a snapshot; the node starts without it."""


@dataclass(frozen=True, slots=True)
class SavedChannel:
    """A channel's signed record and the signed checkpoint it points to."""

    record: SignedRecord
    checkpoint: SignedCheckpoint


@dataclass(frozen=True, slots=True)
class SavedSnapshot:
    """Signed content by channel name, and the highest revision seen by slot."""

    channels: Mapping[str, SavedChannel] = field(default_factory=dict)
    preference: SignedRecord | None = None
    control: SignedRecord | None = None
    revisions: Mapping[str, int] = field(default_factory=dict)


class SnapshotDisk:
    """One file in a folder of one node and experiment."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / FILE_NAME
        self._draft = self._file.with_suffix(".draft")
        renew_in_children(self)

    def after_fork(self) -> None:
        """Parent and child save into one file, each by a draft of its own."""
        self._draft = self._file.with_suffix(f".{os.getpid()}.draft")

    def save(self, snapshot: SavedSnapshot) -> None:
        """Replace the file in one step: a crash leaves the old or the new one. Raises OSError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._draft.open("w", encoding="utf-8") as sink:
            json.dump(_encode(snapshot), sink)
            sink.flush()
            os.fsync(sink.fileno())
        self._draft.replace(self._file)

    def load(self) -> SavedSnapshot | None:
        """What was saved, unverified; None when nothing was. Raises SnapshotUnreadable."""
        try:
            return _decode(json.loads(self._file.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError) as fault:
            raise SnapshotUnreadable(
                f"{self._file} cannot be read: {fault!r}", mend="delete it; the node fetches a new one from the store"
            ) from fault


def _encode(snapshot: SavedSnapshot) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "channels": {
            name: {"record": _encode_record(saved.record), "checkpoint": _encode_checkpoint(saved.checkpoint)}
            for name, saved in snapshot.channels.items()
        },
        "preference": None if snapshot.preference is None else _encode_record(snapshot.preference),
        "control": None if snapshot.control is None else _encode_record(snapshot.control),
        "revisions": dict(snapshot.revisions),
    }


def _decode(content: dict[str, Any]) -> SavedSnapshot:
    if content["format"] != FORMAT:
        raise ValueError(f"format {content['format']} is not {FORMAT}")
    preference, control = content["preference"], content["control"]
    return SavedSnapshot(
        channels={
            name: SavedChannel(_decode_record(saved["record"]), _decode_checkpoint(saved["checkpoint"]))
            for name, saved in content["channels"].items()
        },
        preference=None if preference is None else _decode_record(preference),
        control=None if control is None else _decode_record(control),
        revisions={slot: int(revision) for slot, revision in content["revisions"].items()},
    )


def _encode_record(signed: SignedRecord) -> dict[str, str]:
    return {"record": _text(signed.record), "signature": _text(signed.signature), "key_id": signed.key_id}


def _decode_record(content: dict[str, str]) -> SignedRecord:
    return SignedRecord(_bytes(content["record"]), _bytes(content["signature"]), _key_id(content))


def _encode_checkpoint(signed: SignedCheckpoint) -> dict[str, Any]:
    return {
        "manifest": _text(signed.manifest),
        "signature": _text(signed.signature),
        "key_id": signed.key_id,
        "blobs": {name: _text(blob) for name, blob in signed.blobs.items()},
    }


def _decode_checkpoint(content: dict[str, Any]) -> SignedCheckpoint:
    blobs = {name: _bytes(blob) for name, blob in content["blobs"].items()}
    return SignedCheckpoint(_bytes(content["manifest"]), _bytes(content["signature"]), _key_id(content), blobs)


def _key_id(content: Mapping[str, Any]) -> str:
    key_id = content["key_id"]
    if not isinstance(key_id, str):
        raise TypeError(f"key_id is {key_id!r}")
    return key_id


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
