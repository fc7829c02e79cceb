"""Names of nodes: usable as folders, and one for each process."""

from __future__ import annotations

from pathlib import Path

import pytest

from event_schemas.errors import SettingError
from trimtab.node_naming import LOCK, hold_name, require_node_id, take_free_name


@pytest.mark.parametrize("node_id", ["../up", "a/b", "", " ", "."])
def test_a_node_id_names_a_folder(node_id: str) -> None:
    assert require_node_id("ranker-7.eu") == "ranker-7.eu"
    with pytest.raises(SettingError, match="node id"):
        require_node_id(node_id)


def test_each_takes_the_first_name_that_is_free(tmp_path: Path) -> None:
    first, second, third = (take_free_name(tmp_path / "nodes", "host") for _ in range(3))
    assert [name for name, _ in (first, second, third)] == ["host", "host-2", "host-3"]
    second[1].remove()
    again = take_free_name(tmp_path / "nodes", "host")
    assert again[0] == "host-2"
    for _, lock in (first, again, third):
        lock.remove()
    assert not list(tmp_path.rglob(LOCK))


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "nodes").touch()
    with pytest.raises(SettingError, match=r"nodes/host cannot be written: .* TRIMTAB_DATA_DIR"):
        take_free_name(tmp_path / "nodes", "host")


def test_a_name_that_was_given_is_not_free(tmp_path: Path) -> None:
    held = hold_name(tmp_path / "nodes", "host")
    assert held is not None
    name, lock = take_free_name(tmp_path / "nodes", "host")
    assert name == "host-2"
    assert hold_name(tmp_path / "nodes", "host-2") is None, "another process has it; its spool says so"
    held.remove()
    lock.remove()
    (tmp_path / "file").touch()
    assert hold_name(tmp_path / "file", "host") is None
