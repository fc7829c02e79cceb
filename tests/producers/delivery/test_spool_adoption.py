"""The spool of a dead owner is adopted once, by one process, and nothing is lost, wherever the adopter dies."""

from __future__ import annotations

import errno
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
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from producers.delivery.delivery_spool import DeliverySpool
from producers.delivery.outgoing_event import OutgoingEvent
from producers.delivery.spool_entries import encode_entry
from tests.components.forking import ROOT, command_of, outcome_of
from tests.producers.delivery.test_kafka_delivery import wait_for
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
        spool.check_in(len(batch), [])
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


def settled(data_dir: Path, node: str, cluster: str, prefix: str | None = "p.") -> DeliverySpool:
    spool = DeliverySpool(data_dir / node / "spool", neighbours=data_dir, topic_prefix=prefix)
    spool.announce(f"{cluster}:9092")
    spool.claim(cluster)
    return spool


def test_only_what_belongs_to_the_same_kafka_is_adopted(tmp_path: Path) -> None:
    """Cluster and prefix are compared if they are known."""
    place = 0
    for cluster, prefix in itertools.product(("c1", "c2"), ("p.", "q.", None)):
        for known in (True, False):
            spool = DeliverySpool(tmp_path / f"{cluster}{prefix}{known}" / "spool", topic_prefix=prefix)
            spool.announce(f"{cluster}:9092")
            if known:
                spool.claim(cluster)
            place += 1
            assert all(map(spool.append, events(place, start=place - 1)))
            spool.close()
    left_by(tmp_path, "of 0.1.0", events(100, start=99))
    left_by(tmp_path, "damaged", events(200, start=199))
    (tmp_path / "damaged" / "spool" / "origin.json").write_bytes(b"")
    with structlog.testing.capture_logs() as lines:
        node = settled(tmp_path, "node", "c1")
        adopted = {adoption.directory.parent.name for adoption in node.adopt()}
        assert node.adopt() == []
    ours = {"c1p.True", "c1p.False", "c2p.False", "c1NoneTrue", "c1NoneFalse", "c2NoneFalse", "of 0.1.0"}
    assert adopted == ours
    assert sum("belongs to another Kafka" in line["event"] for line in lines) == 6, "each is told once"
    assert sorted(values(node)) == [b"value %d" % n for n in (0, 1, 11, 4, 5, 7, 99)]
    other = settled(tmp_path, "other", "c2", None)
    assert {adoption.directory.parent.name for adoption in other.adopt()} == {
        *("c1q.False", "c2p.True", "c2q.True", "c2q.False", "c2NoneTrue")
    }


def test_an_owner_with_another_kafka_sets_apart_what_is_not_its_own(tmp_path: Path) -> None:
    first = settled(tmp_path, "n1", "c1")
    assert all(map(first.append, events(6)))
    first.checkout(2)  # under way when the process ends
    first.close()
    staging = DeliverySpool(tmp_path / "n1" / "spool", neighbours=tmp_path, topic_prefix="p.")
    staging.announce("c2:9092")
    assert all(map(staging.append, events(9, start=6)))
    staging.claim("c2")
    assert staging.adopt() == []
    assert values(staging) == [event.value for event in events(9, start=6)]
    assert staging.append(events(10, start=9)[0])
    staging.close()
    home = settled(tmp_path, "n1", "c1")
    assert (home.waiting, [adoption.total for adoption in home.adopt()]) == (0, [6])
    assert values(home) == [event.value for event in events(6)]
    other = settled(tmp_path, "n2", "c2")
    assert [adoption.total for adoption in other.adopt()] == [1]


def test_brokers_that_were_set_up_anew_take_what_was_meant_for_them(tmp_path: Path) -> None:
    for node in ("n1", "gone"):
        first = settled(tmp_path, node, "c1")
        assert all(map(first.append, events(6)))
        first.close()
    again = DeliverySpool(tmp_path / "n1" / "spool", neighbours=tmp_path, topic_prefix="p.")
    again.announce("c1:9092")
    again.claim("c1, anew")
    assert (again.waiting, [adoption.total for adoption in again.adopt()]) == (6, [6])


def test_each_that_is_set_apart_keeps_its_own_origin(tmp_path: Path) -> None:
    """A node moves between clusters and prefixes; an empty spool leaves nothing behind."""
    stays = [("c1", "p."), ("c2", "p."), ("c1", "q."), ("c3", "q."), ("c1", "p."), ("c2", "q.")]
    for place, (cluster, prefix) in enumerate(stays):
        spool = settled(tmp_path, "n1", cluster, prefix)
        if cluster != "c3":
            assert spool.append(events(place + 1, start=place)[0])
        spool.close()
    apart = list((tmp_path / "n1" / "spool" / "forked").iterdir())
    assert len(apart) == 3
    heirs = {
        (cluster, prefix): settled(tmp_path, f"{cluster}{prefix}", cluster, prefix) for cluster, prefix in set(stays)
    }
    for heir in heirs.values():
        heir.adopt()
    found = {origin: sorted(values(heir)) for origin, heir in heirs.items()}
    assert found == {
        ("c1", "p."): [b"value 0", b"value 4"],
        ("c2", "p."): [b"value 1"],
        ("c1", "q."): [b"value 2"],
        ("c3", "q."): [],
        ("c2", "q."): [b"value 5"],
    }


def test_new_addresses_of_the_same_kafka_change_nothing_in_the_end(tmp_path: Path) -> None:
    first = settled(tmp_path, "n1", "c1")
    assert all(map(first.append, events(6)))
    first.close()
    moved = DeliverySpool(tmp_path / "n1" / "spool", neighbours=tmp_path, topic_prefix="p.")
    moved.announce("elsewhere:9092")
    assert moved.append(events(7, start=6)[0])
    moved.claim("c1")
    moved.adopt()
    assert sorted(values(moved)) == sorted(event.value for event in events(7))


def test_an_orphan_that_does_not_fit_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left_by(tmp_path, "big", events(50))
    spool = spool_of(tmp_path, "new", max_bytes=1_000)
    assert spool.append(events(1)[0])
    with monkeypatch.context() as patch:
        patch.setattr("producers.delivery.spool_adoption.survey", lambda _: pytest.fail("read"))
        assert spool.adopt() == []
    values(spool)
    assert [adoption.total for adoption in spool.adopt()] == [50], "it never fits, and nothing else waits"


class Killed(BaseException):
    """The adopter dies at this point."""


@contextmanager
def dying_at(step: int) -> Iterator[None]:
    """Ends the block at its `step`-th disk operation, as a SIGKILL would."""
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


@contextmanager
def other_file_systems(mounted: bool) -> Iterator[None]:
    """Every node's directory is on a separate file system."""
    rename = Path.rename

    def refused(source: Path, target: Path) -> Path:
        if source.parent != target.parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return rename(source, target)

    with pytest.MonkeyPatch.context() as patch:
        if mounted:
            patch.setattr(Path, "rename", refused)
        yield


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4)),
    step=st.integers(0, 24),
    forked=st.booleans(),
    torn=st.booleans(),
    mounted=st.booleans(),
)
def test_an_adopter_that_dies_loses_nothing(
    sizes: tuple[int, int, int], step: int, forked: bool, torn: bool, mounted: bool
) -> None:
    """Also from another file system, from which a file cannot be renamed."""
    with tempfile.TemporaryDirectory() as name:
        folder, place = Path(name), 0
        orphan = folder / "old" / "spool" / ("forked/7-x" if forked else "")
        orphan.mkdir(parents=True)
        for file, size in zip(("outgoing.spool", "adopted-00000001.spool", "incoming.spool"), sizes, strict=True):
            entries = b"".join(map(encode_entry, events(place + size, start=place)))
            (orphan / file).write_bytes(entries + b"\x00\x00\x00" * torn)
            place += size
        adopter = spool_of(folder, "adopter")
        with other_file_systems(mounted), dying_at(step):
            adopter.adopt()
        adopter.after_fork()  # closes the descriptors and does nothing else, as the end of a process
        heir = spool_of(folder, "heir")
        with other_file_systems(mounted):
            heir.adopt()
        found, copied = values(heir), {event.value for event in events(place)}
        assert set(found) == copied
        assert mounted or len(found) == len(copied), "only a copy may be there twice"
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
            # The child lets go of the lock in its first moments, which may come after its parent's last.
            wait_for(lambda: [adoption.total for adoption in spool.adopt()] == [7])
        finally:
            os.kill(child, signal.SIGKILL)
