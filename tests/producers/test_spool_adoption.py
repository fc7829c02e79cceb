"""What dead owners left is taken over once, by one, and lost by none, wherever the adopter dies."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.delivery_spool import DeliverySpool
from producers.outgoing_event import OutgoingEvent
from producers.spool_entries import encode_entry
from tests.components.forking import ROOT, command_of, outcome_of
from tests.producers.spool_events import events


def spool_of(data_dir: Path, node: str, max_bytes: int = 1_000_000) -> DeliverySpool:
    return DeliverySpool(data_dir / node / "spool", max_bytes, neighbours=data_dir)


def left_by(data_dir: Path, node: str, batch: list[OutgoingEvent]) -> None:
    spool = spool_of(data_dir, node)
    assert all(map(spool.append, batch))
    spool.close()


def values(spool: DeliverySpool) -> list[bytes]:
    found = []
    while batch := spool.checkout(100):
        found += [event.value for event in batch]
        spool.finish(len(batch), [])
    return found


def test_a_new_name_adopts_what_the_old_one_left(tmp_path: Path) -> None:
    left_by(tmp_path, "old", events(30))
    spool = spool_of(tmp_path, "new")
    [adoption] = spool.adopt()
    assert (adoption.directory, adoption.events) == (tmp_path / "old" / "spool", Counter(Request=30))
    assert spool.adopt() == []
    assert values(spool) == [event.value for event in events(30)]
    old = spool_of(tmp_path, "old")
    assert old.waiting == 0
    old.close()


def test_the_living_are_left_alone(tmp_path: Path) -> None:
    living = spool_of(tmp_path, "living")
    assert living.append(events(1)[0])
    assert spool_of(tmp_path, "other").adopt() == []
    assert living.waiting == 1


def test_without_neighbours_only_the_own_house_is_looked_at(tmp_path: Path) -> None:
    left_by(tmp_path, "old", events(3))
    assert DeliverySpool(tmp_path / "new" / "spool").adopt() == []


def test_what_does_not_fit_waits_for_its_turn(tmp_path: Path) -> None:
    for node in ("a", "b", "c"):
        left_by(tmp_path, node, events(20))
    size = (tmp_path / "a" / "spool" / "incoming.spool").stat().st_size
    spool = spool_of(tmp_path, "new", max_bytes=2 * size)
    assert [adoption.total for adoption in spool.adopt()] == [20, 20]
    assert not spool.append(events(1)[0]), "adopted bytes count"
    assert len(values(spool)) == 40
    assert [adoption.total for adoption in spool.adopt()] == [20]


@pytest.mark.parametrize("damage", ["torn", "garbage", "unreadable", "a file", "a loop", "no rights"])
def test_a_damaged_orphan_stops_nobody(tmp_path: Path, damage: str) -> None:
    left_by(tmp_path, "bad", events(10))
    left_by(tmp_path, "good", events(3))
    bad = tmp_path / "bad" / "spool"
    file = bad / "incoming.spool"
    if damage == "torn":
        file.write_bytes(file.read_bytes()[:-3])
    elif damage == "garbage":
        file.write_bytes(os.urandom(5_000))
    elif damage == "unreadable":
        file.unlink()
        file.mkdir()
    elif damage == "a file":
        bad.rename(tmp_path / "elsewhere")
        bad.write_text("not a directory")
    elif damage == "a loop":
        file.unlink()
        file.symlink_to(file)
    else:
        (bad / "lock").unlink()
        (bad / "lock").mkdir()
    spool = spool_of(tmp_path, "new")
    adopted = {adoption.directory.parent.name: adoption.total for adoption in spool.adopt()}
    assert adopted.pop("good") == 3
    assert adopted == ({"bad": 9} if damage == "torn" else {})
    spool.adopt()
    assert len(values(spool)) == 3 + sum(adopted.values())


def adopt_and_count(data_dir: str, node: str, gate: Barrier) -> None:
    spool = spool_of(Path(data_dir), node)
    gate.wait(60)
    adopted = sum(adoption.total for adoption in spool.adopt())
    gate.wait(60)  # a spool that is closed early would be an orphan for the others
    spool.close()
    Path(data_dir, f"{node}.share").write_text(str(adopted))


def race(data_dir: str) -> None:
    start = multiprocessing.get_context("fork")
    gate = start.Barrier(4)
    racers = [start.Process(target=adopt_and_count, args=(data_dir, f"n{n}", gate)) for n in range(4)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()


def test_of_several_that_adopt_at_once_one_wins(tmp_path: Path) -> None:
    for orphan in range(10):
        left_by(tmp_path, f"old{orphan}", events(orphan * 10 + 5, start=orphan * 10))
    outcome_of(race, tmp_path)
    assert sum(int(share.read_text()) for share in tmp_path.glob("*.share")) == 50
    spool = spool_of(tmp_path, "last")
    spool.adopt()
    found = values(spool)
    assert len(found) == len(set(found)) == 50


class Killed(BaseException):
    """The adopter dies here."""


@contextmanager
def dying_at(step: int) -> Iterator[None]:
    """Ends the block at the `step`-th thing it does to the disk, as a SIGKILL would."""
    done = itertools.count()

    def deadly(act: Callable[..., Any]) -> Callable[..., Any]:
        def acted(*arguments: Any, **options: Any) -> Any:
            if next(done) == step:
                raise Killed
            return act(*arguments, **options)

        return acted

    with pytest.MonkeyPatch.context() as patch:
        acts = ((Path, "rename"), (Path, "unlink"), (Path, "rmdir"), (os, "fsync"), (os, "truncate"), (os, "open"))
        for owner, name in acts:
            patch.setattr(owner, name, deadly(getattr(owner, name)))
        with suppress(Killed):
            yield


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4)),
    step=st.integers(0, 24),
    forked=st.booleans(),
    torn=st.booleans(),
)
def test_an_adopter_that_dies_loses_nothing(sizes: tuple[int, int, int], step: int, forked: bool, torn: bool) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, place = Path(name), 0
        orphan = folder / "old" / "spool" / ("forked/7-x" if forked else "")
        orphan.mkdir(parents=True)
        for file, size in zip(("outgoing.spool", "adopted-00000001.spool", "incoming.spool"), sizes, strict=True):
            entries = b"".join(map(encode_entry, events(place + size, start=place)))
            (orphan / file).write_bytes(entries + b"\x00\x00\x00" * torn)
            place += size
        adopter = spool_of(folder, "adopter")
        with dying_at(step):
            adopter.adopt()
        adopter.after_fork()  # closes the descriptors and does nothing else, as the end of a process
        heir = spool_of(folder, "heir")
        heir.adopt()
        assert sorted(values(heir)) == sorted(event.value for event in events(place))
        heir.close()


def die_with_living_child(data_dir: str) -> None:
    spool = spool_of(Path(data_dir), "parent")
    assert all(map(spool.append, events(7)))
    child = os.fork()
    if child == 0:
        signal.pause()
    print(child, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_dead_owner_with_a_living_child_is_adopted(tmp_path: Path) -> None:
    with subprocess.Popen(command_of(die_with_living_child, tmp_path), cwd=ROOT, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        child = int(owner.stdout.readline())
        try:
            assert owner.wait(30) == -signal.SIGKILL
            os.kill(child, 0)  # it lives
            spool = spool_of(tmp_path, "other")
            assert [adoption.total for adoption in spool.adopt()] == [7]
        finally:
            os.kill(child, signal.SIGKILL)
