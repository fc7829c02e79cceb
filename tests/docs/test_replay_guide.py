"""`docs/replay.md` names every field of the mapping file, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import BaseModel

from producers.replay.column_mapping import ColumnMapping, EngagementColumns

GUIDE = (Path(__file__).parents[2] / "docs" / "replay.md").read_text(encoding="utf-8")


def fields() -> set[str]:
    named: set[str] = set()
    for name, field in ColumnMapping.model_fields.items():
        model = EngagementColumns if name == "engagements" else field.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            named |= {f"{name}.{inner}" for inner in model.model_fields}
        else:
            named.add(name)
    return named


def test_the_table_is_the_mapping() -> None:
    rows = [line.split("|")[1] for line in GUIDE.splitlines() if line.startswith("| `")]
    assert {name for cell in rows for name in re.findall(r"`([a-z_.]+)`", cell)} == fields()
