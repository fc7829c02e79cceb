"""A registry that cannot start says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.components.kafka_broker import ComponentMissing
from tests.components.schema_registry import SchemaRegistry


def test_an_archive_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ComponentMissing, match=f"no Schema Registry in {tmp_path}") as caught:
        SchemaRegistry(tmp_path, folder=tmp_path).start()
    assert caught.value.fix == "run `make components`"


def test_a_registry_that_cannot_start_quotes_its_log(tmp_path: Path) -> None:
    (tmp_path / "apicurio-registry-app-0-runner.jar").write_bytes(b"no archive")
    registry = SchemaRegistry(tmp_path, folder=tmp_path)
    with pytest.raises(RuntimeError, match=r"ended during start-up: .*[Ii]nvalid or corrupt jarfile"):
        registry.start()
    registry.stop()
