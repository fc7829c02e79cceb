"""The files of one spool: in order, within the bound, and equal to a model of a queue after any operations."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from event_schemas.directory_lock import DirectoryTaken
from producers.delivery.outgoing_event import OutgoingEvent
from producers.delivery.spool_directory import SpoolDirectory, remove_directory
from producers.delivery.spool_entries import encode_entry
from producers.delivery.spool_files import spool_files
from tests.producers.spool_events import events

BOUND = 1_500


def drained(spool: SpoolDirectory) -> list[OutgoingEvent]:
    found = []
    while batch := spool.checkout(100):
        found += batch
        spool.check_in(len(batch), [])
    return found


def left_behind(folder: Path, batch: list[OutgoingEvent], name: str = "incoming.spool") -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_bytes(b"".join(map(encode_entry, batch)))
    return file


def test_adopted_files_come_after_what_is_under_way_and_before_what_is_new(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    spool = SpoolDirectory(tmp_path / "own", BOUND)
    for event in events(2):
        spool.append(event)
    assert len(spool.checkout(1)) == 1
    for event in events(3, start=2):
        spool.append(event)
    for orphan in (events(12, start=10), events(22, start=20)):
        assert spool.take_over(left_behind(tmp_path / "orphan", orphan), len(orphan))
    assert spool.waiting == 7
    spool.check_in(1, [])
    assert [event.value for event in drained(spool)] == [f"value {n}".encode() for n in (1, 10, 11, 20, 21, 2)]
    assert (spool.waiting, spool.size) == (0, 0)


def test_adopted_bytes_count_for_the_bound(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    spool = SpoolDirectory(tmp_path / "own", BOUND)
    assert spool.append(events(1)[0])
    large = left_behind(tmp_path / "orphan", events(30))
    assert large.stat().st_size > BOUND - spool.size
    assert not spool.take_over(large, 30), "there is no room for it now"
    assert large.exists()
    assert drained(spool) == events(1)
    assert spool.take_over(large, 30), "it would never fit, and nothing else waits"
    assert not spool.append(events(1)[0])
    assert drained(spool) == events(30)
    assert spool.append(events(1)[0])


def test_a_directory_is_removed_with_all_that_belongs_to_the_spool(tmp_path: Path) -> None:
    for name in ("empty", "shared"):
        (tmp_path / name).mkdir()
    (tmp_path / "shared" / "notes").touch()
    for name in ("empty", "shared"):
        SpoolDirectory(tmp_path / name, BOUND).remove()
    assert {path.name for path in tmp_path.rglob("*")} == {"shared", "notes"}


def test_a_directory_has_one_owner(tmp_path: Path) -> None:
    spool = SpoolDirectory(tmp_path, BOUND)
    with pytest.raises(DirectoryTaken):
        SpoolDirectory(tmp_path, BOUND)
    spool.close()
    again = SpoolDirectory(tmp_path, BOUND)
    remove_directory(tmp_path, again._lock)
    assert not tmp_path.exists()


class SpoolMachine(RuleBasedStateMachine):
    """A spool that is used, killed and adopted into at random holds what a list would hold, in any order."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.number = 0
        self.model: list[OutgoingEvent] = []
        self.spool = SpoolDirectory(Path(self.folder.name), BOUND)

    def fresh(self, count: int) -> list[OutgoingEvent]:
        self.number += count
        return events(self.number, start=self.number - count)

    @rule(count=st.integers(1, 6))
    def append(self, count: int) -> None:
        self.model += [event for event in self.fresh(count) if self.spool.append(event)]

    @rule(count=st.integers(1, 6), name=st.sampled_from(["incoming.spool", "outgoing.spool", "adopted-00000003.spool"]))
    def adopt(self, count: int, name: str) -> None:
        orphan = self.fresh(count)
        file = left_behind(Path(self.folder.name) / "orphan", orphan, name)
        if self.spool.take_over(file, count):
            self.model += orphan

    @rule(limit=st.integers(1, 5), data=st.data())
    def resend(self, limit: int, data: st.DataObject) -> None:
        """Each event is delivered, refused for now or undelivered; then the process may die."""
        batch = self.spool.checkout(limit)
        assert all(event in self.model for event in batch)
        fates = data.draw(st.lists(st.sampled_from("dru"), min_size=len(batch), max_size=len(batch)))
        delivered = [event for event, fate in zip(batch, fates, strict=True) if fate == "d"]
        refused = [event for event, fate in zip(batch, fates, strict=True) if fate == "r"]
        undelivered = [event for event, fate in zip(batch, fates, strict=True) if fate == "u"]
        assert self.spool.postpone(refused) == []
        self.spool.check_in(len(delivered) + len(refused), undelivered)
        for event in delivered:
            self.model.remove(event)

    @rule(count=st.integers(1, 3), damage=st.binary(min_size=1, max_size=60), zeros=st.booleans())
    def adopt_damage(self, count: int, damage: bytes, zeros: bool) -> None:
        """Bytes that are not an event, between events."""
        orphan = self.fresh(count)
        parts = [encode_entry(event) for event in orphan]
        file = Path(self.folder.name) / "orphan" / "incoming.spool"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes((bytes(len(damage)) if zeros else damage).join([b"", *parts, b""]))
        if self.spool.take_over(file, count):
            self.model += orphan

    @rule()
    def die_and_come_back(self) -> None:
        """Events delivered but not yet removed come back: duplicates are allowed, losses are not."""
        held = self.spool
        on_disk = sum(file.stat().st_size for file in spool_files(held.directory) if file.exists())
        assert on_disk == held.size
        held.close()
        self.spool = SpoolDirectory(held.directory, BOUND)
        found = drained(self.spool)
        assert not [event for event in self.model if event not in found]
        self.model = []

    @invariant()
    def counts_what_waits(self) -> None:
        assert self.spool.waiting == len(self.model)

    def teardown(self) -> None:
        assert sorted(event.value for event in drained(self.spool)) == sorted(event.value for event in self.model)
        assert self.spool.size == 0
        self.spool.close()
        self.folder.cleanup()


TestSpoolMachine = SpoolMachine.TestCase
TestSpoolMachine.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
