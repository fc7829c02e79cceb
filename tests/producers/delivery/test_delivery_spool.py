"""The spool keeps events across failures, restarts and torn writes, and never grows past its bound."""

from __future__ import annotations

import os
import threading
from collections import Counter
from pathlib import Path

import pytest

from event_schemas.directory_lock import DirectoryLock
from producers.delivery.delivery_spool import DeliverySpool, SpoolError
from producers.delivery.outgoing_event import OutgoingEvent
from tests.components.forking import in_child, outcome_of
from tests.producers.spool_events import events


def fill(spool: DeliverySpool, batch: list[OutgoingEvent]) -> None:
    for event in batch:
        assert spool.append(event)


def test_events_come_back_in_order_and_as_they_were(tmp_path: Path) -> None:
    spool = DeliverySpool(tmp_path)
    odd = OutgoingEvent("events", None, b"\x00\xff" * 40, "Heartbeat", 3)
    fill(spool, [*events(2), odd, OutgoingEvent("tallies", b"", b"", "Tally")])
    assert spool.waiting == 4
    assert spool.checkout(10) == [*events(2), odd, OutgoingEvent("tallies", b"", b"", "Tally")]
    spool.check_in(4, [])
    assert spool.waiting == 0
    assert spool.checkout(10) == []


def test_batches_follow_each_other_and_later_events_come_last(tmp_path: Path) -> None:
    spool = DeliverySpool(tmp_path)
    fill(spool, events(5))
    assert spool.checkout(2) == events(2)
    fill(spool, events(6, start=5))
    spool.check_in(2, [])
    assert spool.checkout(10) == events(5, start=2)
    spool.check_in(3, [])
    assert spool.checkout(10) == events(6, start=5)
    spool.check_in(1, [])
    assert (spool.waiting, sum(path.stat().st_size for path in tmp_path.iterdir())) == (0, 0)


def test_undelivered_events_stay_first_in_line(tmp_path: Path) -> None:
    spool = DeliverySpool(tmp_path)
    fill(spool, events(5))
    batch = spool.checkout(3)
    spool.check_in(2, [batch[1]])
    assert spool.waiting == 3
    assert spool.checkout(10) == [events(5)[1], *events(5, start=3)]


def test_the_next_process_finds_what_waits(tmp_path: Path) -> None:
    first = DeliverySpool(tmp_path)
    fill(first, events(3))
    first.checkout(2)  # under way when the process ends: sent again rather than lost
    fill(first, events(4, start=3))
    first.close()
    second = DeliverySpool(tmp_path)
    assert second.waiting == 4
    assert second.checkout(10) == events(3)
    second.check_in(3, [])
    assert second.checkout(10) == events(4, start=3)


@pytest.mark.parametrize("cut", [1, 9, 30])
def test_a_torn_entry_ends_the_file(tmp_path: Path, cut: int) -> None:
    first = DeliverySpool(tmp_path)
    fill(first, events(3))
    first.close()
    file = tmp_path / "incoming.spool"
    file.write_bytes(file.read_bytes()[:-cut])
    second = DeliverySpool(tmp_path)
    assert second.waiting == 2
    fill(second, events(4, start=3))
    assert second.checkout(10) == [*events(2), *events(4, start=3)]


def test_a_file_that_is_all_torn_does_not_stop_the_next_events(tmp_path: Path) -> None:
    (tmp_path / "outgoing.spool").write_bytes(b"\x00\x00")
    spool = DeliverySpool(tmp_path)
    fill(spool, events(1))
    assert spool.checkout(10) == events(1)


def test_beyond_the_bound_nothing_is_taken(tmp_path: Path) -> None:
    spool = DeliverySpool(tmp_path, max_bytes=1_000)
    taken = sum(spool.append(event) for event in events(100))
    assert 0 < taken < 100
    assert sum(path.stat().st_size for path in tmp_path.glob("*.spool")) <= 1_000
    spool.checkout(100)
    spool.check_in(taken, [])
    assert spool.append(events(1)[0]), "room again once the spool is empty"


def test_after_close_nothing_is_taken(tmp_path: Path) -> None:
    spool = DeliverySpool(tmp_path)
    spool.close()
    spool.close()
    assert not spool.append(events(1)[0])


def test_a_directory_belongs_to_one_spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("producers.delivery.delivery_spool.TAKEN_SECONDS", 0.1)
    first = DeliverySpool(tmp_path)
    with pytest.raises(SpoolError, match="belongs to another process"):
        DeliverySpool(tmp_path)
    first.close()
    DeliverySpool(tmp_path).close()


def test_a_place_that_is_no_directory_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolError, match="cannot be written"):
        DeliverySpool(tmp_path / "file" / "spool")


def test_a_rotation_that_fails_leaves_the_writer_where_it_was(tmp_path: Path) -> None:
    """A closed descriptor's number soon belongs to another file, which must not receive events."""
    spool = DeliverySpool(tmp_path)
    fill(spool, events(2))
    (tmp_path / "incoming.spool").rename(tmp_path / "elsewhere")
    with pytest.raises(FileNotFoundError):
        spool.checkout(10)
    with (tmp_path / "someone else's").open("wb") as other:
        fill(spool, events(3, start=2))
        assert other.tell() == 0
    assert (tmp_path / "someone else's").stat().st_size == 0
    (tmp_path / "elsewhere").rename(tmp_path / "incoming.spool")
    assert spool.checkout(10) == events(3)


def test_damage_while_resending_costs_what_is_damaged_and_no_more(tmp_path: Path) -> None:
    spool = DeliverySpool(tmp_path)
    fill(spool, events(4))
    assert len(spool.checkout(1)) == 1
    spool.check_in(1, [])
    fill(spool, events(6, start=4))
    content = bytearray((tmp_path / "outgoing.spool").read_bytes())
    size = len(content) // 4
    content[size : size + 40] = b"\xff" * 40
    (tmp_path / "outgoing.spool").write_bytes(content)
    assert spool.checkout(10) == events(4, start=2)
    spool.check_in(0, events(4, start=2))
    assert (spool.take_damaged(), list(tmp_path.glob("damaged-*"))) == (Counter(), []), "it has not left the spool"
    assert spool.checkout(10) == events(4, start=2)
    spool.check_in(2, [])
    assert (spool.take_damaged(), spool.take_damaged()) == (Counter(unknown=1), Counter())
    assert (tmp_path / "damaged-00000001.spool").read_bytes() == content[size : 2 * size]
    assert spool.waiting == 2
    assert spool.checkout(10) == events(6, start=4)
    spool.check_in(2, [])
    assert (spool.waiting, spool.empty) == (0, True)


@pytest.mark.parametrize("content", [b"\0" * 50_000, bytes(range(256)) * 30])
def test_a_file_of_nothing_but_damage_leaves_the_spool(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "adopted-00000001.spool").write_bytes(content)
    (tmp_path / "outgoing.spool").write_bytes(content)
    spool = DeliverySpool(tmp_path, max_bytes=200_000)
    assert (spool.waiting, spool.empty) == (0, False)
    fill(spool, events(1))
    assert spool.checkout(10) == events(1)
    assert spool.take_damaged() == Counter(unknown=2)
    assert (tmp_path / "damaged-00000001.spool").read_bytes() == content * 2
    spool.check_in(1, [])
    assert spool.empty


def test_a_file_that_somebody_shortened_stops_nobody(tmp_path: Path) -> None:
    spool = DeliverySpool(tmp_path)
    fill(spool, events(4))
    spool.checkout(3)
    spool.check_in(3, [])
    fill(spool, events(6, start=4))
    os.truncate(tmp_path / "outgoing.spool", 10)
    assert spool.checkout(10) == events(6, start=4)
    spool.check_in(2, [])
    assert (spool.waiting, spool.empty) == (0, True)


def test_events_put_last_in_line_hold_up_no_others(tmp_path: Path) -> None:
    spool = DeliverySpool(tmp_path)
    fill(spool, events(4))
    batch = spool.checkout(2)
    assert spool.postpone([batch[0]]) == []
    spool.check_in(1, [batch[1]])
    assert spool.waiting == 4
    assert spool.checkout(10) == events(4, start=1)
    spool.check_in(3, [])
    assert spool.checkout(10) == events(1)


def test_a_full_spool_too_puts_events_last_in_line(tmp_path: Path) -> None:
    spool = DeliverySpool(tmp_path, max_bytes=1_000)
    full = sum(spool.append(event) for event in events(100))
    first = spool.checkout(1)
    assert spool.postpone(first) == []
    spool.check_in(1, [])
    assert spool.checkout(100) == events(full, start=1)


def test_an_outage_rewrites_nothing(tmp_path: Path) -> None:
    """A batch fails every two seconds while the broker is down; a full spool must not be rewritten each time."""
    spool = DeliverySpool(tmp_path)
    fill(spool, events(10))
    before = None
    for _ in range(3):
        batch = spool.checkout(4)
        spool.check_in(0, list(reversed(batch)))
        now = (tmp_path / "outgoing.spool").stat()
        assert before in (None, (now.st_ino, now.st_mtime_ns))
        before = (now.st_ino, now.st_mtime_ns)
    assert spool.checkout(100) == events(10)


def test_an_owner_that_lets_go_soon_is_waited_for(tmp_path: Path) -> None:
    """An adopting neighbour holds the lock for a moment; the node with that name must start nevertheless."""
    DeliverySpool(tmp_path).close()
    neighbour = DirectoryLock(tmp_path / "lock")
    threading.Timer(0.2, neighbour.release).start()
    spool = DeliverySpool(tmp_path)
    assert spool.append(events(1)[0])
    spool.close()


def spool_in_child(folder: str) -> dict[str, object]:
    spool = DeliverySpool(Path(folder))
    fill(spool, events(3))

    def child() -> dict[str, object]:
        seen: dict[str, object] = {"inherited": spool.waiting, "batch": len(spool.checkout(10))}
        fill(spool, events(5, start=3))
        grandchild = in_child(lambda: [spool.waiting, spool.append(events(1)[0]), spool.waiting])
        seen |= {"own": spool.waiting, "grandchild": grandchild}
        spool.close()
        return seen | {"after close": spool.append(events(1)[0])}

    told = in_child(child)
    adopted = [adoption.total for adoption in spool.adopt()]
    left = [path.name for path in Path(folder, "forked").iterdir()]
    return {**told, "parent": spool.waiting, "adopted": sorted(adopted), "left": left}


def test_a_child_spools_for_itself_and_its_parent_sends_what_it_left(tmp_path: Path) -> None:
    assert outcome_of(spool_in_child, tmp_path) == {
        "inherited": 0,
        "batch": 0,
        "own": 2,
        "grandchild": [0, True, 1],
        "after close": False,
        "adopted": [1, 2],
        "parent": 6,
        "left": [],
    }


def unused_in_child(folder: str) -> list[object]:
    spool, closed = DeliverySpool(Path(folder, "open")), DeliverySpool(Path(folder, "closed"))
    closed.close()

    def child() -> list[object]:
        taken = closed.append(events(1)[0])
        spool.close()
        closed.close()
        return [taken, spool.append(events(1)[0])]

    told = in_child(child)
    return [told, [spool.append(event) for event in events(1)], sorted(path.name for path in Path(folder).rglob("*"))]


def test_a_child_that_spools_nothing_leaves_nothing(tmp_path: Path) -> None:
    files = ["closed", "incoming.spool", "incoming.spool", "lock", "lock", "open"]
    assert outcome_of(unused_in_child, tmp_path) == [[False, False], [True], files]
