"""Keeps a node's memory on its disk in two separate files, so that damage to one of them loses nothing.

The first line of a file is the SHA-256 of the second line in lower-case hex; the second line is the memory as JSON.
"""

import hashlib
import json
from pathlib import Path

from event_schemas.directory_sync import replace_file
from event_schemas.errors import TrimtabError
from serving_agent.pickup.node_memory import NodeMemory
from serving_agent.pickup.signed_json import NOT_AS_SAVED

FORMAT = 1
FILE_NAMES = ("remembered.json", "remembered.copy.json")


class SnapshotUnreadable(TrimtabError):
    """A file on a node's disk, or a part of it, is damaged; the node starts without it."""


class MemoryDisk:
    """The two files in a node's folder. Only one process may save at a time."""

    def __init__(self, folder: Path) -> None:
        self._files = [folder / name for name in FILE_NAMES]

    def save(self, memory: NodeMemory) -> NodeMemory:
        """Merges `memory` into the files, as another process may have saved more, and returns the result.

        Raises OSError.
        """
        held = self.load() or NodeMemory()
        lifted = {name for lifts in memory.resumes.values() for name in lifts}
        remembered = held.merged(memory).bounded(lifted)
        payload = _encode(remembered)
        for file in self._files:
            if _bytes_of(file) != payload:
                replace_file(file, payload, draft_of(file))
        return remembered

    def load(self, faults: list[SnapshotUnreadable] | None = None) -> NodeMemory | None:
        """The merged content of both files; None when neither can be read. Damaged files are added to `faults`."""
        memory: NodeMemory | None = None
        for file in self._files:
            try:
                found = _decode(file.read_bytes())
            except FileNotFoundError:
                continue
            except NOT_AS_SAVED as fault:
                if faults is not None:
                    faults.append(unreadable(file, fault))
                continue
            memory = found if memory is None else memory.merged(found)
        return memory


def draft_of(file: Path) -> Path:
    """The path where new content of the file is written before it replaces the old."""
    return file.with_suffix(".draft")


def unreadable(what: object, fault: Exception) -> SnapshotUnreadable:
    """The error for a file, or a part of one, that cannot be read."""
    return SnapshotUnreadable(
        f"{what} cannot be read: {fault!r}", fix="none needed: the node replaces it once the policy store has answered"
    )


def _encode(memory: NodeMemory) -> bytes:
    content = json.dumps({"format": FORMAT, **memory.encoded()}).encode()
    return hashlib.sha256(content).hexdigest().encode() + b"\n" + content


def _decode(payload: bytes) -> NodeMemory:
    expected, _, content = payload.partition(b"\n")
    if hashlib.sha256(content).hexdigest().encode() != expected:
        raise ValueError("its hash does not match")
    held = json.loads(content)
    if held["format"] != FORMAT:
        raise ValueError(f"format {held['format']} is not {FORMAT}")
    return NodeMemory.decoded(held)


def _bytes_of(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except OSError:
        return None
