"""Offsets on the command line of `trimtab reconcile`."""

from __future__ import annotations

import pytest

from event_schemas.errors import SettingError
from trimtab.commands.reconcile import parse_offsets


def test_one_offset_for_all_or_one_for_each() -> None:
    assert parse_offsets("--from", None, 3) == {}
    assert parse_offsets("--from", "7", 3) == {0: 7, 1: 7, 2: 7}
    assert parse_offsets("--to", "0=7,2=12", 3) == {0: 7, 2: 12}


@pytest.mark.parametrize("text", ["x", "1=", "=2", "1=2,3", "1:2", ""])
def test_what_is_no_offset_is_named(text: str) -> None:
    with pytest.raises(SettingError, match="--from") as caught:
        parse_offsets("--from", text, 3)
    assert "PARTITION=OFFSET" in caught.value.fix


def test_an_unknown_partition_is_named() -> None:
    with pytest.raises(SettingError, match="no partition 3"):
        parse_offsets("--to", "3=1", 3)
