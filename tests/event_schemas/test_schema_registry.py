"""Ids from a real Schema Registry, and from the file of the last start while it is away."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from event_schemas.codec import Codec, unframe
from event_schemas.errors import ComponentUnreachable, CredentialsRefused, SchemaError, SettingError, UnknownSchema
from event_schemas.held_schemas import FOLDER, UNREGISTERED, HeldSchemasFile
from event_schemas.registry import Registry
from event_schemas.schema_registry import load_registry
from tests.components.refusing_front import refusing_front
from tests.components.schema_registry import SchemaRegistry
from tests.components.tcp_forwarder import TcpForwarder
from tests.record_samples import ENGAGEMENT

ENGAGEMENTS = Registry.bundled().newest("Engagement")
SURFACE = {"name": "surface", "type": ["null", "string"], "default": None}
STRANGE = {"name": "surface", "type": "string"}


@pytest.fixture
def front(schema_registry: SchemaRegistry) -> Iterator[TcpForwarder]:
    """The registry under an address where it can be away."""
    forwarder = TcpForwarder()
    forwarder.open(schema_registry.address)
    yield forwarder
    forwarder.close()


def with_field(field: dict[str, Any], without: str = "") -> dict[str, Any]:
    kept = [each for each in ENGAGEMENTS.schema["fields"] if each["name"] != without]
    return {**ENGAGEMENTS.schema, "fields": [*kept, field]}


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_without_a_url_the_bundled_ids_hold(tmp_path: Path) -> None:
    assert load_registry(None, tmp_path).entries() == Registry.bundled().entries()
    assert not list(tmp_path.iterdir())


def test_with_a_url_the_registry_s_ids_hold(schema_registry: SchemaRegistry, tmp_path: Path) -> None:
    before = schema_registry.register("shop.Pin", '{"type": "string"}')
    codec = Codec(load_registry(schema_registry.url, tmp_path))
    framed = codec.encode("Engagement", ENGAGEMENT)
    assert unframe(framed)[0] > before
    assert codec.decode(framed).record == ENGAGEMENT
    again = Codec(load_registry(schema_registry.url, tmp_path / "another"))
    assert again.encode("Engagement", ENGAGEMENT) == framed
    assert len(codec.registry.entries()) == len(Registry.bundled().entries())


def test_others_decide_neither_what_is_written_nor_what_is_read(
    schema_registry: SchemaRegistry, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bad = schema_registry.register(ENGAGEMENTS.subject, with_field(STRANGE, without="kind"))
    ours = load_registry(schema_registry.url, tmp_path).newest("Engagement")
    good = schema_registry.register(ENGAGEMENTS.subject, with_field(SURFACE))
    caplog.clear()
    registry = load_registry(schema_registry.url, tmp_path)
    assert registry.newest("Engagement") == ours
    assert registry.entry(good).name == "Engagement"
    with pytest.raises(UnknownSchema, match="does not fit Trimtab's: kind: is missing"):
        registry.entry(bad)
    assert [f"(id {bad})" in line for line in warnings(caplog)] == [True]


def test_while_the_registry_is_away_the_ids_of_the_last_start_hold(
    schema_registry: SchemaRegistry, front: TcpForwarder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = schema_registry.url_at(front.address)
    bad = schema_registry.register(ENGAGEMENTS.subject, with_field(STRANGE, without="kind"))
    there = load_registry(url, tmp_path)
    front.close()
    caplog.clear()
    away = load_registry(url, tmp_path)
    assert away.entries() == there.entries()
    assert away.newest("Engagement") == there.newest("Engagement")
    with pytest.raises(UnknownSchema, match="does not fit"):
        away.entry(bad)
    assert any("does not answer" in line and "the ids of the last start are used" in line for line in warnings(caplog))
    with pytest.raises(ComponentUnreachable, match=f"{front.address}/.*/other does not answer"):
        load_registry(f"{url}/other", tmp_path)


def test_a_registry_that_fails_is_away_too(
    schema_registry: SchemaRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)  # the client waits before it asks again
    status: list[int | tuple[int, bytes]] = []
    with refusing_front(lambda *_: next(iter(status), None), schema_registry.address) as address:
        url = schema_registry.url_at(address)
        there = load_registry(url, tmp_path)
        status.append(503)
        for away in (503, 429, 302, (200, b"<html>Log in</html>"), (200, b"null")):
            status[0] = away
            assert load_registry(url, tmp_path).entries() == there.entries()
        status[0] = 401
        with pytest.raises(CredentialsRefused):
            load_registry(url, tmp_path)


def test_away_without_ids_of_an_earlier_start_is_an_error(
    schema_registry: SchemaRegistry, front: TcpForwarder, tmp_path: Path
) -> None:
    url = schema_registry.url_at(front.address)
    load_registry(url, tmp_path)
    front.close()
    with pytest.raises(ComponentUnreachable, match=r"does not answer .*it lacks trimtab\.Request v1, ") as caught:
        load_registry(url, tmp_path / "new")
    assert caught.value.fix.startswith("start it")
    (file,) = (tmp_path / FOLDER).iterdir()
    file.write_text(file.read_text().replace('"id": 1', '"id": 2').replace("Heartbeat", "Surprise"))
    with pytest.raises(ComponentUnreachable, match="does not hold the schema ids of the last start") as caught:
        load_registry(url, tmp_path)
    assert "remove that file" in caught.value.fix


@pytest.fixture
def previous(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Registry]]:
    """Makes this process the release before, which ships the first version of every record, until it is called."""
    bundled = Registry.bundled()
    before = Registry(entry for entry in bundled.entries() if entry.version == 1 and entry.name != "Exploration")
    monkeypatch.setattr(Registry, "bundled", lambda: before)

    def upgraded() -> Registry:
        monkeypatch.setattr(Registry, "bundled", lambda: bundled)
        return bundled

    yield upgraded


def test_a_version_that_is_new_in_this_release_needs_the_registry(
    schema_registry: SchemaRegistry, front: TcpForwarder, tmp_path: Path, previous: Callable[[], Registry]
) -> None:
    url = schema_registry.url_at(front.address)
    before = load_registry(url, tmp_path)
    bundled = previous()
    front.close()
    new = r"trimtab\.Request v2, trimtab\.Action v2, .*trimtab\.Exploration v1 [|] fix: start it, .*registers its"
    with pytest.raises(ComponentUnreachable, match=rf"new in this release needs the registry: .*\.json lacks {new}"):
        load_registry(url, tmp_path)
    front.open(schema_registry.address)
    upgraded = load_registry(url, tmp_path)
    assert len(upgraded.entries()) == len(bundled.entries())
    assert [upgraded.entry(entry.schema_id) for entry in before.entries()] == list(before.entries()), "their ids stay"
    front.close()
    assert load_registry(url, tmp_path).entries() == upgraded.entries()


def test_a_new_version_joins_the_ones_before_it_under_its_subject(
    schema_registry: SchemaRegistry, tmp_path: Path, previous: Callable[[], Registry], caplog: pytest.LogCaptureFixture
) -> None:
    """BACKWARD lets it in: it can read what the version before it wrote. What the release before reads stays, too."""
    client = schema_registry.client
    before = load_registry(schema_registry.url, tmp_path / "before")
    upgrade_sees = load_registry(schema_registry.url, tmp_path / "reader", reads_only=True)
    assert upgrade_sees.entries() == before.entries()
    bundled = previous()
    reader = load_registry(schema_registry.url, tmp_path / "reader", reads_only=True)
    assert reader.schema_id("Request") >= UNREGISTERED, "a reader registers nothing"
    after = load_registry(schema_registry.url, tmp_path / "after")
    for newest in bundled.newest_by_subject().values():
        assert client.get_versions(newest.subject) == list(range(1, newest.version + 1))
        assert client.get_compatibility(newest.subject) == "BACKWARD"
        assert after.newest(newest.name).version == newest.version
    assert not warnings(caplog)


def test_a_damaged_file_is_told_and_written_again(
    schema_registry: SchemaRegistry, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    load_registry(schema_registry.url, tmp_path)
    (file,) = (tmp_path / FOLDER).iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:100])
    caplog.clear()
    load_registry(schema_registry.url, tmp_path)
    assert file.read_bytes() == whole
    assert [str(file) in line for line in warnings(caplog)] == [True]


def test_a_data_directory_that_cannot_be_written_is_a_warning(
    schema_registry: SchemaRegistry, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for obstacle in (tmp_path / "file", tmp_path / FOLDER):
        obstacle.write_text("no directory")
        caplog.clear()
        registry = load_registry(schema_registry.url, obstacle if obstacle.name == "file" else tmp_path)
        assert Codec(registry).schema_id("Request") == registry.newest("Request").schema_id
        (line,) = warnings(caplog)
        assert line.startswith(f"{obstacle} is not a directory, so a start without the registry will fail | fix: ")


def test_an_id_with_another_meaning_than_before_ends_the_start(schema_registry: SchemaRegistry, tmp_path: Path) -> None:
    registry = load_registry(schema_registry.url, tmp_path)
    (file,) = (tmp_path / FOLDER).iterdir()
    kept = file.read_bytes()
    ids = {f"{entry.subject} v{entry.version}": entry.schema_id for entry in registry.entries()}
    for one, other in (("trimtab.Request v2", "trimtab.Action v2"), ("trimtab.Tally v1", "trimtab.Tally v2")):
        swap_kept_ids(file, {ids[one]: ids[other], ids[other]: ids[one]})
        with pytest.raises(SchemaError, match=f"gives id {ids[other]} to {other}, .* {one}") as caught:
            load_registry(schema_registry.url, tmp_path)
        assert str(file) in caught.value.fix
        file.write_bytes(kept)
    file.unlink()
    assert load_registry(schema_registry.url, tmp_path).entries() == registry.entries(), "the fix that is named works"


@pytest.mark.parametrize("wiped", [True, False], ids=["all", "one"])
def test_ids_that_the_registry_has_lost_stay_readable(
    schema_registry: SchemaRegistry, tmp_path: Path, caplog: pytest.LogCaptureFixture, wiped: bool
) -> None:
    before = Codec(load_registry(schema_registry.url, tmp_path))
    framed, lost = before.encode("Engagement", ENGAGEMENT), before.schema_id("Engagement")
    delete(schema_registry, list(before.registry.newest_by_subject()) if wiped else [ENGAGEMENTS.subject])
    for start in ("the first after the loss", "another"):
        caplog.clear()
        now = Codec(load_registry(schema_registry.url, tmp_path))
        assert now.schema_id("Engagement") != lost
        for value in (framed, now.encode("Engagement", ENGAGEMENT)):
            assert now.decode(value).record == ENGAGEMENT, start
        (line,) = warnings(caplog)
        assert f"{lost} (trimtab.Engagement v1)" in line
        assert line.count("(trimtab.") == (len(before.registry.entries()) if wiped else 1)
        assert "fix: restore the registry" in line
    (file,) = (tmp_path / FOLDER).iterdir()
    swap_kept_ids(file, {lost: now.schema_id("Request"), now.schema_id("Request"): lost})
    with pytest.raises(SchemaError, match=r"at the last start it was the id of trimtab\.Engagement"):
        load_registry(schema_registry.url, tmp_path)
    file.unlink()
    caplog.clear()
    load_registry(schema_registry.url, tmp_path)
    assert not warnings(caplog), "the fix that is named works"


def test_a_version_that_was_removed_as_advised_is_no_loss(
    schema_registry: SchemaRegistry, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    schema_registry.register(ENGAGEMENTS.subject, with_field(STRANGE, without="kind"))
    load_registry(schema_registry.url, tmp_path)
    for permanent in (False, True):
        schema_registry.client.delete_version(ENGAGEMENTS.subject, 1, permanent=permanent)
    caplog.clear()
    load_registry(schema_registry.url, tmp_path)
    assert not warnings(caplog)


def test_one_registry_has_one_file_however_its_address_is_spelled(
    schema_registry: SchemaRegistry, tmp_path: Path
) -> None:
    url = schema_registry.url
    registries = [load_registry(spelled, tmp_path) for spelled in (url, f"{url}/", url.replace("http:", "HTTP:"))]
    assert len(list((tmp_path / FOLDER).iterdir())) == 1
    assert len({registry.schema_id("Request") for registry in registries}) == 1


def test_a_reader_changes_nothing_and_reads_what_is_not_registered_yet(
    schema_registry: SchemaRegistry, tmp_path: Path
) -> None:
    reader = Codec(load_registry(schema_registry.url, tmp_path / "reader", reads_only=True))
    assert not [name for name in schema_registry.client.get_subjects() if name.startswith("trimtab.")]
    in_memory = reader.encode("Engagement", ENGAGEMENT)
    assert reader.decode(in_memory).record == ENGAGEMENT
    assert reader.schema_id("Engagement") >= UNREGISTERED
    writer = Codec(load_registry(schema_registry.url, tmp_path / "writer"))
    reader = Codec(load_registry(schema_registry.url, tmp_path / "reader", reads_only=True))
    assert reader.registry.entries() == writer.registry.entries()
    assert reader.decode(writer.encode("Engagement", ENGAGEMENT)).record == ENGAGEMENT


def delete(registry: SchemaRegistry, subjects: list[str]) -> None:
    for subject in subjects:
        for permanent in (False, True):
            registry.client.delete_subject(subject, permanent=permanent)


def swap_kept_ids(file: Path, ids: dict[int, int]) -> None:
    """Writes the file as an earlier start would have if the registry had given these ids."""
    kept = HeldSchemasFile(file.parents[1], json.loads(file.read_text())["registry"])
    kept.renew([each._replace(schema_id=ids.get(each.schema_id, each.schema_id)) for each in kept.read()])


def test_an_address_that_is_none_is_a_setting_error(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="is not the address of a Schema Registry"):
        load_registry("registry:8081", tmp_path)
