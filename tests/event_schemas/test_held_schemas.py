"""The file with the schema ids of the last start: whole or refused."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from event_schemas.held_schemas import FOLDER, HeldSchema, HeldSchemasDamaged, HeldSchemasFile

ADDRESS = "http://registry:8081"
HELD = (
    HeldSchema(7, "trimtab.Request", 1, "AVRO", '{"type": "record", "name": "Request", "fields": []}'),
    HeldSchema(8, "trimtab.Request", 2, "PROTOBUF", 'syntax = "proto3";'),
)


def test_what_is_kept_is_read(tmp_path: Path) -> None:
    file = HeldSchemasFile(tmp_path / "var", ADDRESS)
    assert file.read() == ()
    file.renew(HELD[:1])
    file.renew(HELD)
    assert HeldSchemasFile(tmp_path / "var", ADDRESS).read() == HELD
    assert [path.name for path in (tmp_path / "var" / FOLDER).iterdir()] == [file.path.name]


def test_each_registry_has_a_file_of_its_own(tmp_path: Path) -> None:
    file, other = HeldSchemasFile(tmp_path, ADDRESS), HeldSchemasFile(tmp_path, f"{ADDRESS}/other")
    file.renew(HELD)
    assert other.read() == ()
    other.path.write_bytes(file.path.read_bytes())
    with pytest.raises(HeldSchemasDamaged, match=str(other.path)):
        other.read()


def test_the_same_content_is_not_written_again(tmp_path: Path) -> None:
    file = HeldSchemasFile(tmp_path, ADDRESS)
    file.renew(HELD)
    written = file.path.stat()
    file.renew(HELD)
    assert file.path.stat().st_ino == written.st_ino


def test_a_changed_byte_is_noticed_or_changes_nothing(tmp_path: Path) -> None:
    file = HeldSchemasFile(tmp_path, ADDRESS)
    file.renew(HELD)
    content = file.path.read_bytes()
    draw = random.Random(3)
    for place in range(0, len(content), 3):
        changed = bytes([draw.randrange(256)])
        file.path.write_bytes(content[:place] + changed + content[place + 1 :])
        assert_noticed_or_whole(file)
        file.path.write_bytes(content[:place])
        assert_noticed_or_whole(file)


def assert_noticed_or_whole(file: HeldSchemasFile) -> None:
    try:
        assert file.read() == HELD
    except HeldSchemasDamaged as damaged:
        assert str(file.path) in damaged.what
        assert "remove that file" in damaged.fix


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"7", b"\xff", b'{"schemas": 5}', b'{"schemas": [{"id": 1}]}'])
def test_another_content_is_damage(tmp_path: Path, content: bytes) -> None:
    file = HeldSchemasFile(tmp_path, ADDRESS)
    file.path.parent.mkdir()
    file.path.write_bytes(content)
    with pytest.raises(HeldSchemasDamaged, match="does not hold the schema ids of the last start"):
        file.read()
    file.renew(HELD)
    assert file.read() == HELD


def test_a_directory_in_its_place_is_damage_and_an_os_error(tmp_path: Path) -> None:
    file = HeldSchemasFile(tmp_path, ADDRESS)
    file.path.mkdir(parents=True)
    with pytest.raises(HeldSchemasDamaged, match=r"\.json is a directory, not a file"):
        file.read()
    with pytest.raises(OSError, match="directory") as caught:
        file.renew(HELD)
    assert file.obstacle(caught.value) == (f"{file.path} is a directory, not a file", "move it away")
    assert list(file.path.parent.iterdir()) == [file.path], "no draft is left"


@pytest.mark.parametrize(("place", "fix"), [("var/schema_ids", "move it away"), ("var", "set TRIMTAB_DATA_DIR to")])
def test_a_file_in_place_of_a_directory_is_named(tmp_path: Path, place: str, fix: str) -> None:
    file, obstacle = HeldSchemasFile(tmp_path / "var", ADDRESS), tmp_path / place
    obstacle.parent.mkdir(exist_ok=True)
    obstacle.write_text("a file")
    with pytest.raises(HeldSchemasDamaged, match=f"{obstacle} is not a directory") as read:
        file.read()
    with pytest.raises(OSError, match=str(obstacle)) as caught:
        file.renew(HELD)
    assert file.obstacle(caught.value) == (f"{obstacle} is not a directory", read.value.fix)
    assert read.value.fix.startswith(fix)


def test_a_missing_right_and_a_fault_of_the_disk_have_their_own_fix(tmp_path: Path) -> None:
    file = HeldSchemasFile(tmp_path, ADDRESS)
    assert "let this user" in file.obstacle(PermissionError(13, "Permission denied"))[1]
    what, fix = file.obstacle(OSError(28, "No space left on device"))
    assert what == f"{file.path}: No space left on device"
    assert "disk" in fix


def test_content_is_json_or_none() -> None:
    assert HELD[0].content() == json.loads(HELD[0].schema)
    assert HELD[1].content() is None
    assert HELD[1]._replace(schema="[" * 100_000).content() is None
