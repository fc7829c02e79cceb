"""Which peers a command line chooses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.peer_table import ALL, PeerMissing, build_missing, chosen_peers, peer_table
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


def test_what_can_use_all_cores_does_and_stands_beside_one_of_each() -> None:
    peers = {peer.name: peer for peer in chosen_peers("default", True)}
    assert peers["trimtab"].command[-2:] == ("--workers", str(ALL))
    assert "--workers" not in peers["trimtab_one_worker"].command
    for system in ("kafka_streams", "flink"):
        assert (peers[system].threads, peers[f"{system}_one_thread"].threads) == (ALL, 1)
    assert not {"flink", "flink_one_thread"} & {peer.name for peer in chosen_peers("all", False)}
