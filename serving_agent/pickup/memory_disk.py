"""Keeps a node's memory on its disk, twice: damage to anything else, or to one of the two files, loses nothing of it.

A file is the SHA-256 of its second line in lower-case hex, and then this line: the memory as JSON.
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
    """A file on a node's disk, or a part of it, is not what was saved; the node starts without it."""


class MemoryDisk:
    """The two files in a node's folder. Whoever saves must be the only one to do so."""

    def __init__(self, folder: Path) -> None:
        self._files = [folder / name for name in FILE_NAMES]

    def save(self, memory: NodeMemory) -> NodeMemory:
        """Add to what lies there: another process may have learnt what this one has not seen. What lies there then.

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
        """What either file holds; None when neither can be read. `faults` takes each that is there and damaged."""
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
    """Where a new content of the file is written before it replaces the old one."""
    return file.with_suffix(".draft")


def unreadable(what: object, fault: Exception) -> SnapshotUnreadable:
    """The error that says so of a file, or of a part of one."""
    return SnapshotUnreadable(
        f"{what} cannot be read: {fault!r}", fix="nothing: the node replaces it once the policy store has answered"
    )


def _encode(memory: NodeMemory) -> bytes:
    content = json.dumps({"format": FORMAT, **memory.encoded()}).encode()
    return hashlib.sha256(content).hexdigest().encode() + b"\n" + content


def _decode(payload: bytes) -> NodeMemory:
    expected, _, content = payload.partition(b"\n")
    if hashlib.sha256(content).hexdigest().encode() != expected:
        raise ValueError("its hash does not fit")
    held = json.loads(content)
    if held["format"] != FORMAT:
        raise ValueError(f"format {held['format']} is not {FORMAT}")
    return NodeMemory.decoded(held)


def _bytes_of(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except OSError:
        return None
