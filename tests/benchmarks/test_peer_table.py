"""Which peers a command line chooses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.peer_table import PeerMissing, build_missing, chosen_peers, peer_table
from event_schemas.errors import SettingError


def test_ours_is_always_among_them_and_first() -> None:
    assert [peer.name for peer in chosen_peers("decode_only,raw_consume", False)] == [
        "trimtab",
        "raw_consume",
        "decode_only",
    ]


def test_an_unknown_peer_is_named() -> None:
    with pytest.raises(SettingError, match="no such peer: storm"):
        chosen_peers("storm", False)


def test_a_peer_that_is_not_built_says_how_to_build_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built, absent = peer_table()["trimtab"], replace(peer_table()["flink"], needs=tmp_path / "absent")
    monkeypatch.setenv("PATH", str(tmp_path))
    build_missing([built])
    make = tmp_path / "make"
    make.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\n', encoding="utf-8")
    make.chmod(0o755)
    with pytest.raises(PeerMissing, match="make bench-peers"):
        build_missing([built, absent])
    assert (tmp_path / "asked").read_text(encoding="utf-8") == "bench-peers\n"
