"""The typed shapes name exactly the fields of the schemas."""

from __future__ import annotations

import pytest

from event_schemas import records
from event_schemas.registry import Registry
from event_schemas.topics import TOPICS


@pytest.mark.parametrize("name", [record for topic in TOPICS for record in topic.records])
def test_typed_shape_and_schema_agree(name: str) -> None:
    shape = getattr(records, f"{name}Record")
    assert list(shape.__annotations__) == [field["name"] for field in Registry.bundled().newest(name).schema["fields"]]
