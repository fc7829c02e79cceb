"""The guide's examples do what the guide says, and its tables name what there is."""

from __future__ import annotations

import io
import json
import re
import tomllib
from pathlib import Path
from typing import Any

from fastavro import parse_schema, schemaless_writer

from event_schemas.bridge_section import BridgeSpec
from event_schemas.codec import frame
from event_schemas.experiment_sections import ExperimentSpec
from event_schemas.log_record import LogRecord
from producers.bridge.engagement_mapping import BridgeFate, EngagementMapper
from producers.bridge.source_decoding import decode_json, framed_decoder

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "bridge.md").read_text(encoding="utf-8")
SECTIONS = [tomllib.loads(block)["bridge"][0] for block in re.findall(r"```toml\n(.*?)```", GUIDE, flags=re.DOTALL)]
JSON = re.findall(r"```json\n(.*?)```", GUIDE, flags=re.DOTALL)
LOGS_ALL = ExperimentSpec(name="guide", salt="pepper", log_rate=1.0)


def engagement(section: dict[str, Any], decode: Any, key: bytes | None, value: bytes) -> Any:
    source = BridgeSpec.model_validate(section)
    return EngagementMapper(source, LOGS_ALL, decode).map(LogRecord(source.topic, 3, 1042, 0, key, value)).engagement


def test_the_json_example_gives_the_engagement_shown() -> None:
    assert engagement(SECTIONS[0], decode_json, None, JSON[0].encode()) == json.loads(JSON[1])


def test_the_avro_example_gives_what_the_text_says() -> None:
    schema = parse_schema(json.loads(JSON[2]))
    sink = io.BytesIO()
    schemaless_writer(sink, schema, {"at": 1_700_000_012_345_678, "amount": None})
    found = engagement(SECTIONS[1], framed_decoder(lambda _: schema), b"r-1", frame(7, sink.getvalue()))
    assert found == {
        "engagement_id": "shop.purchases/3/1042",
        "request_id": "r-1",
        "event_time": 1_700_000_012_345,
        "kind": "purchase",
        "item_id": None,
        "value": 1.0,
    }


def test_the_table_of_fates_is_complete() -> None:
    table = GUIDE.split("| fate | meaning |", 1)[1].split("\n\n", 1)[0]
    assert re.findall(r"^\| `([a-z_]+)`", table, flags=re.MULTILINE) == [fate.value for fate in BridgeFate]


def test_the_files_named_exist() -> None:
    root = Path(__file__).parents[2]
    for name in set(re.findall(r"`((?:producers|event_schemas)/[a-z_]+\.py)`", GUIDE)):
        assert (root / name).exists(), name
