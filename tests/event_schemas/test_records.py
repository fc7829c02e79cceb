"""The typed shapes name exactly the fields of the schemas."""

from __future__ import annotations

import pytest

from event_schemas import records
from event_schemas.registry import Registry


@pytest.mark.parametrize("name", records.RECORD_NAMES)
def test_typed_shape_and_schema_agree(name: str) -> None:
    shape = getattr(records, f"{name}Record")
    assert list(shape.__annotations__) == [field["name"] for field in Registry.bundled().newest(name).schema["fields"]]
