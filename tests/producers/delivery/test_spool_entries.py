"""Events survive as bytes, and every undamaged event of a file is read."""

from __future__ import annotations

import json
import zlib
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.delivery.outgoing_event import OutgoingEvent
from producers.delivery.spool_entries import (
    ENTRY,
    HEADER_LENGTH,
    Stretch,
    encode_entry,
    known_in,
    read_events,
    read_stretches,
)
from tests.producers.spool_events import any_event, events


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("spool") / "some.spool"


def read(file: Path, start: int = 0) -> list[OutgoingEvent]:
    return [stretch.event for stretch in read_stretches(file, start) if stretch.event is not None]


def tiled(file: Path) -> list[Stretch]:
    """The stretches of a file, which cover every byte of it once."""
    stretches = list(read_stretches(file))
    assert [stretch.start for stretch in stretches] == [0, *(stretch.end for stretch in stretches)][: len(stretches)]
    assert (stretches[-1].end if stretches else 0) == file.stat().st_size
    return stretches


@given(written=st.lists(any_event, max_size=8))
def test_events_come_back_as_they_were(file: Path, written: list[OutgoingEvent]) -> None:
    file.write_bytes(b"".join(map(encode_entry, written)))
    assert read(file) == written
    for place, stretch in enumerate(tiled(file)):
        assert read(file, stretch.end) == written[place + 1 :]
    assert list(read_events(file)) == written


@given(written=st.lists(any_event, min_size=1, max_size=6), data=st.data())
def test_a_cut_file_is_read_up_to_the_cut(file: Path, written: list[OutgoingEvent], data: st.DataObject) -> None:
    entries = list(map(encode_entry, written))
    cut = data.draw(st.integers(0, sum(map(len, entries)) - 1))
    file.write_bytes(b"".join(entries)[:cut])
    whole = [event for n, event in enumerate(written) if sum(map(len, entries[: n + 1])) <= cut]
    assert read(file) == whole
    torn = [stretch for stretch in tiled(file) if stretch.event is None]
    assert len(torn) == (cut > sum(map(len, entries[: len(whole)])))


@given(written=st.lists(any_event, min_size=1, max_size=6), data=st.data())
def test_a_flipped_bit_costs_one_event(file: Path, written: list[OutgoingEvent], data: st.DataObject) -> None:
    hit = data.draw(st.integers(0, len(written) - 1))
    entries = [bytearray(encode_entry(event)) for event in written]
    place = data.draw(st.integers(0, len(entries[hit]) - 1))
    entries[hit][place] ^= 1 << data.draw(st.integers(0, 7))
    file.write_bytes(b"".join(entries))
    assert read(file) == written[:hit] + written[hit + 1 :]
    [damaged] = [stretch for stretch in tiled(file) if stretch.event is None]
    assert damaged.end - damaged.start == len(entries[hit])
    assert known_in(bytes(entries[hit])).total() == 1


@given(
    written=st.lists(any_event, max_size=8),
    spots=st.lists(
        st.tuples(st.integers(0, 900), st.binary(max_size=200) | st.integers(1, 200).map(bytes)), max_size=3
    ),
    torn=st.binary(max_size=30),
)
def test_whatever_is_written_over_the_rest_is_read(
    file: Path, written: list[OutgoingEvent], spots: list[tuple[int, bytes]], torn: bytes
) -> None:
    """Zeros are what a crash of the machine leaves."""
    content = bytearray(b"".join(map(encode_entry, written)) + torn)
    before = bytes(content)
    for place, bytes_ in spots:
        content[place : place + len(bytes_)] = bytes_[: max(0, len(content) - place)]
    file.write_bytes(content)
    untouched, start = [], 0
    for event in written:
        end = start + len(encode_entry(event))
        if content[start:end] == before[start:end]:
            untouched.append(event)
        start = end
    assert read(file) == untouched
    assert sum(1 for stretch in tiled(file) if stretch.event is not None) == len(untouched)


@pytest.mark.parametrize(
    "header",
    [
        {"topic": 5},
        {"topic": ""},
        {"topic": "a b/"},
        {"topic": "x" * 250},
        {"topic": "nul\0"},
        {"topic": "\ud800"},
        {"record": [1]},
        {"record": "\ud800"},
        {"partition": "x"},
        {"partition": 2**40},
        {"partition": -1},
        {"partition": True},
        {"key": 10**6},
        {"key": "k"},
        {"key": -1},
    ],
)
def test_a_header_that_the_client_could_not_take_is_damage(file: Path, header: dict[str, object]) -> None:
    """Its checksum is right: another program wrote it, or a future version."""
    text = json.dumps({"topic": "events", "record": "Request", "partition": None, "key": 1} | header).encode()
    check_foreign(file, HEADER_LENGTH.pack(len(text)) + text + b"k" + b"value")


@pytest.mark.parametrize(
    "payload", [b"", b"\xff", HEADER_LENGTH.pack(2) + b"{}", HEADER_LENGTH.pack(1) + b"[v", b"[" * 9_999]
)
def test_a_whole_entry_that_is_no_event_is_damage(file: Path, payload: bytes) -> None:
    check_foreign(file, payload)


def check_foreign(file: Path, payload: bytes) -> None:
    foreign = ENTRY.pack(len(payload), zlib.crc32(payload)) + payload
    first, second = map(encode_entry, events(2))
    file.write_bytes(first + foreign + foreign + second)
    assert read(file) == events(2)
    assert all(stretch.event is not None or stretch.end > stretch.start for stretch in tiled(file))
    assert known_in(foreign).total() == 1


def test_what_a_caller_has_written_is_never_taken_for_an_entry(file: Path) -> None:
    """The value of an event may contain the bytes of another event, and be damaged."""
    inner = encode_entry(OutgoingEvent("events", b"forged", b"forged", "Request"))
    damaged = bytearray(encode_entry(OutgoingEvent("events", b"k", b"x" + inner, "Request")))
    damaged[-len(inner) - 1] ^= 1
    first, second = map(encode_entry, events(2))
    file.write_bytes(first + damaged + second)
    assert read(file) == events(2)
    assert known_in(bytes(damaged)) == Counter(Request=1)
    file.write_bytes(first + damaged)
    assert read(file) == events(1)


def test_a_search_goes_over_long_damage_and_counts_what_it_knows(file: Path) -> None:
    lost = b"".join(b"\xff" + encode_entry(event)[1:-1] + b"\xff" for event in events(2_000))
    file.write_bytes(lost + encode_entry(events(1)[0]) + b"\0" * 300_000)
    assert read(file) == events(1)
    assert known_in(lost) == Counter(Request=2_000)


def test_the_format_is_that_of_0_1_0(file: Path) -> None:
    """Spools outlive upgrades."""
    header = json.dumps({"topic": "events", "record": "Request", "partition": 3, "key": 2}).encode()
    payload = HEADER_LENGTH.pack(len(header)) + header + b"k0" + b"value"
    event = OutgoingEvent("events", b"k0", b"value", "Request", 3)
    assert encode_entry(event) == ENTRY.pack(len(payload), zlib.crc32(payload)) + payload


def test_no_file_holds_nothing(tmp_path: Path) -> None:
    assert read(tmp_path / "none") == []
    assert list(read_events(tmp_path / "none")) == []
