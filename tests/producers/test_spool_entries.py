"""Events survive as bytes, and what damage leaves of a file is read up to the damage."""

from __future__ import annotations

import json
import zlib
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.outgoing_event import OutgoingEvent
from producers.spool_entries import ENTRY, HEADER_LENGTH, cut_torn_tail, encode_entry, read_entries
from tests.producers.spool_events import any_event, events


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("spool") / "some.spool"


def read(file: Path, start: int = 0) -> list[OutgoingEvent]:
    return [event for event, _ in read_entries(file, start)]


@given(written=st.lists(any_event, max_size=8))
def test_events_come_back_as_they_were(file: Path, written: list[OutgoingEvent]) -> None:
    file.write_bytes(b"".join(map(encode_entry, written)))
    assert read(file) == written
    for place, (_, end) in enumerate(read_entries(file)):
        assert read(file, end) == written[place + 1 :]
    size = file.stat().st_size
    assert cut_torn_tail(file) == Counter(event.record for event in written)
    assert file.stat().st_size == size


@given(written=st.lists(any_event, min_size=1, max_size=6), data=st.data())
def test_a_cut_file_is_read_up_to_the_cut(file: Path, written: list[OutgoingEvent], data: st.DataObject) -> None:
    entries = list(map(encode_entry, written))
    cut = data.draw(st.integers(0, sum(map(len, entries)) - 1))
    file.write_bytes(b"".join(entries)[:cut])
    whole = [event for n, event in enumerate(written) if sum(map(len, entries[: n + 1])) <= cut]
    assert read(file) == whole
    assert cut_torn_tail(file) == Counter(event.record for event in whole)
    assert file.stat().st_size == sum(len(encode_entry(event)) for event in whole)


@given(written=st.lists(any_event, min_size=1, max_size=6), data=st.data())
def test_a_flipped_bit_ends_the_file_there(file: Path, written: list[OutgoingEvent], data: st.DataObject) -> None:
    content = bytearray(b"".join(map(encode_entry, written)))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    file.write_bytes(content)
    found = read(file)
    assert found == written[: len(found)]
    assert len(found) < len(written)


@pytest.mark.parametrize("payload", [b"", b"\xff", HEADER_LENGTH.pack(2) + b"{}", HEADER_LENGTH.pack(1) + b"[v"])
def test_a_whole_entry_that_is_no_event_ends_the_file(file: Path, payload: bytes) -> None:
    """Its checksum is right: another program wrote it, or a version to come."""
    foreign = ENTRY.pack(len(payload), zlib.crc32(payload)) + payload
    first, second = map(encode_entry, events(2))
    file.write_bytes(first + foreign + second)
    assert read(file) == events(1)


def test_the_format_is_that_of_0_1_0(file: Path) -> None:
    """Spools outlive upgrades."""
    header = json.dumps({"topic": "events", "record": "Request", "partition": 3, "key": 2}).encode()
    payload = HEADER_LENGTH.pack(len(header)) + header + b"k0" + b"value"
    event = OutgoingEvent("events", b"k0", b"value", "Request", 3)
    assert encode_entry(event) == ENTRY.pack(len(payload), zlib.crc32(payload)) + payload


def test_no_file_holds_nothing(tmp_path: Path) -> None:
    assert read(tmp_path / "none") == []
    assert not cut_torn_tail(tmp_path / "none")
