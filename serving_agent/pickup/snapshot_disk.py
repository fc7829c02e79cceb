"""The last good snapshot on this machine's disk, which a node serves when it starts and Redis does not answer.

The files hold the signed bytes as the store gave them. They are verified again when read, so they need no more trust
than the store. They are written only after everything in them was verified and loaded.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from event_schemas.directory_lock import DirectoryLock
from event_schemas.directory_sync import replace_file
from policy_store.records import SignedCheckpoint, SignedRecord
from serving_agent.pickup.memory_disk import MemoryDisk, SnapshotUnreadable, draft_of, unreadable
from serving_agent.pickup.node_memory import NodeMemory
from serving_agent.pickup.signed_json import (
    NOT_AS_SAVED,
    decode_checkpoint,
    decode_record,
    encode_checkpoint,
    encode_record,
    fields,
    numbers,
)

FORMAT = 1
FILE_NAME = "last_good_snapshot.json"
LOCK_NAME = "snapshot.lock"
LOCK_SECONDS = 1.0
MEMORY_PARTS = (("revisions", "epoch"), ("kills",), ("resumes",), ("voided",))
PARTS = {
    "format",
    "channels",
    "experiments",
    "preference",
    "control",
    "accepted_in",
    *chain.from_iterable(MEMORY_PARTS),
}

Part = TypeVar("Part")


@dataclass(frozen=True, slots=True)
class SavedChannel:
    """A channel's signed record and the signed checkpoint it points to."""

    record: SignedRecord
    checkpoint: SignedCheckpoint


@dataclass(frozen=True, slots=True)
class SavedExperiments:
    """The signed record of the online experiments, and the signed checkpoints of their arms by version."""

    record: SignedRecord
    checkpoints: Mapping[str, SignedCheckpoint]


@dataclass(frozen=True, slots=True)
class SavedSnapshot:
    """Signed content by channel name, and what the node must not forget.

    control       a kill that holds; the only one that nodes of version 0.1.0 can read
    accepted_in   the epoch in which the decision in force was accepted, by slot
    certain       whether a hash confirms that the memory is undamaged; the first versions saved no hash
    forgotten     whether some of the memory may be lost
    faults        every part that cannot be read
    """

    channels: Mapping[str, SavedChannel] = field(default_factory=dict)
    preference: SignedRecord | None = None
    experiments: SavedExperiments | None = None
    control: SignedRecord | None = None
    accepted_in: Mapping[str, int] = field(default_factory=dict)
    memory: NodeMemory = field(default_factory=NodeMemory)
    certain: bool = True
    forgotten: bool = False
    faults: tuple[SnapshotUnreadable, ...] = ()


class SnapshotDisk:
    """The files in the folder of one node and experiment; a node and its forked children share the folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / FILE_NAME
        self._memory = MemoryDisk(folder)

    def save(self, snapshot: SavedSnapshot) -> None:
        """Merges the memory into the saved one and replaces the rest.

        Raises OSError, and DirectoryTaken while another process saves.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        lock = DirectoryLock(self._folder / LOCK_NAME, wait_s=LOCK_SECONDS)
        try:
            # The memory is saved first: no power cut, nor a disk too full for a checkpoint, may lose a kill.
            memory = self._memory.save(snapshot.memory)
            content = json.dumps(_encode(snapshot, memory)).encode()
            replace_file(self._file, content, draft_of(self._file))
        finally:
            lock.release()

    def load(self) -> SavedSnapshot | None:
        """The parts that were saved and can be read, unverified; None when nothing was saved."""
        faults: list[SnapshotUnreadable] = []
        memory = self._memory.load(faults)
        content = self._content(faults)
        if content is None and memory is None and not faults:
            return None
        parts = _Parts(content or {}, lambda what, fault: faults.append(unreadable(f"{what} in {self._file}", fault)))
        # The order matters: the parts read first add to `faults`, which `forgotten` depends on.
        return SavedSnapshot(
            channels=parts.channels(),
            preference=parts.read("preference", None, _record_or_none),
            experiments=parts.read("experiments", None, _experiments_or_none),
            control=parts.read("control", None, _record_or_none),
            accepted_in=parts.read("accepted_in", {}, numbers),
            memory=parts.memory() if memory is None else memory,
            certain=memory is not None,
            forgotten=memory is None and bool(faults),
            faults=tuple(faults),
        )

    def _content(self, faults: list[SnapshotUnreadable]) -> dict[str, Any] | None:
        """The JSON object in the snapshot's own file; None when there is no file or it cannot be read."""
        try:
            # Parsed leniently, so that a bad byte in one part leaves the other parts readable.
            text = self._file.read_bytes().decode("ascii", "replace")
            content: dict[str, Any] = json.loads(text, strict=False)
            if content["format"] != FORMAT:
                raise ValueError(f"format {content['format']} is not {FORMAT}")
        except FileNotFoundError:
            return None
        except NOT_AS_SAVED as fault:
            faults.append(unreadable(self._file, fault))
            return None
        return content


class _Parts:
    """Reads a snapshot's file part by part, as far as it can be read."""

    def __init__(self, content: Mapping[str, Any], report: Callable[[str, Exception], None]) -> None:
        self._content, self._report = content, report
        for name in sorted(set(content) - PARTS):
            report(name, LookupError("there is no such part"))

    def read(self, name: str, otherwise: Part, decode: Callable[[Any], Part]) -> Part:
        """One part; `otherwise` when it is absent or damaged."""
        return self._read(name, lambda: decode(self._content[name]), otherwise) if name in self._content else otherwise

    def channels(self) -> dict[str, SavedChannel]:
        """The channels that can be read."""
        none: dict[str, Any] = {}
        saved = self.read("channels", none, fields)
        read = {name: self._read(f"channel {name}", partial(_channel, each), None) for name, each in saved.items()}
        return {name: channel for name, channel in read.items() if channel is not None}

    def memory(self) -> NodeMemory:
        """The memory in this file, which is its only place in versions without memory files."""
        memory = NodeMemory()
        for names in MEMORY_PARTS:
            held = {name: self._content[name] for name in names if name in self._content}
            memory = memory.merged(self._read("/".join(names), partial(NodeMemory.decoded, held), NodeMemory()))
        return memory

    def _read(self, what: str, read: Callable[[], Part], otherwise: Part) -> Part:
        try:
            return read()
        except NOT_AS_SAVED as fault:
            self._report(what, fault)
            return otherwise


def _encode(snapshot: SavedSnapshot, memory: NodeMemory) -> dict[str, Any]:
    """The file's content; includes the memory, for versions that read it only here."""
    return {
        "format": FORMAT,
        "channels": {
            name: {"record": encode_record(saved.record), "checkpoint": encode_checkpoint(saved.checkpoint)}
            for name, saved in snapshot.channels.items()
        },
        "preference": None if snapshot.preference is None else encode_record(snapshot.preference),
        "experiments": None if snapshot.experiments is None else _encode_experiments(snapshot.experiments),
        "control": None if snapshot.control is None else encode_record(snapshot.control),
        "accepted_in": dict(snapshot.accepted_in),
        **memory.encoded(),
    }


def _channel(saved: dict[str, Any]) -> SavedChannel:
    return SavedChannel(decode_record(saved["record"]), decode_checkpoint(saved["checkpoint"]))


def _record_or_none(content: dict[str, str] | None) -> SignedRecord | None:
    return None if content is None else decode_record(content)


def _encode_experiments(saved: SavedExperiments) -> dict[str, Any]:
    checkpoints = {version: encode_checkpoint(signed) for version, signed in saved.checkpoints.items()}
    return {"record": encode_record(saved.record), "checkpoints": checkpoints}


def _experiments_or_none(content: dict[str, Any] | None) -> SavedExperiments | None:
    if content is None:
        return None
    checkpoints = {version: decode_checkpoint(each) for version, each in fields(content["checkpoints"]).items()}
    return SavedExperiments(decode_record(content["record"]), checkpoints)
