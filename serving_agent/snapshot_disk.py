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

from event_schemas.directory_sync import sync_directory
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
    """Signed content by channel name, and what the node remembers of revisions, kills and resumes.

    control       a kill that holds, for nodes of version 0.1.0, which know no other
    revisions     the highest revision seen by slot
    kills         every kill known
    resumes       every resume known, with the hashes of the kills it lifts
    epoch         of the last re-base applied; 0 before the first
    voided        the hashes that re-bases have voided
    accepted_in   the epoch in which the decision in force was accepted, by slot
    """

    channels: Mapping[str, SavedChannel] = field(default_factory=dict)
    preference: SignedRecord | None = None
    control: SignedRecord | None = None
    revisions: Mapping[str, int] = field(default_factory=dict)
    kills: tuple[SignedRecord, ...] = ()
    resumes: Mapping[SignedRecord, tuple[str, ...]] = field(default_factory=dict)
    epoch: int = 0
    voided: frozenset[str] = frozenset()
    accepted_in: Mapping[str, int] = field(default_factory=dict)


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
        # A kill must not be forgotten with the machine's power.
        sync_directory(self._folder)

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
        "kills": [_encode_record(signed) for signed in snapshot.kills],
        "resumes": [{**_encode_record(signed), "lifts": list(lifts)} for signed, lifts in snapshot.resumes.items()],
        "epoch": snapshot.epoch,
        "voided": sorted(snapshot.voided),
        "accepted_in": dict(snapshot.accepted_in),
    }


def _decode(content: dict[str, Any]) -> SavedSnapshot:
    """The snapshot; a file of version 0.1.0 lacks kills, resumes and re-bases."""
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
        revisions=_numbers(content["revisions"]),
        kills=tuple(_decode_record(each) for each in content.get("kills", [])),
        resumes={_decode_record(each): _texts(each["lifts"]) for each in content.get("resumes", [])},
        epoch=int(content.get("epoch", 0)),
        voided=frozenset(_texts(content.get("voided", []))),
        accepted_in=_numbers(content.get("accepted_in", {})),
    )


def _numbers(content: Mapping[str, Any]) -> dict[str, int]:
    return {name: int(number) for name, number in content.items()}


def _texts(content: list[Any]) -> tuple[str, ...]:
    if not all(isinstance(each, str) for each in content):
        raise TypeError(f"{content!r} is not a list of texts")
    return tuple(content)


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
