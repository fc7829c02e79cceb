"""`[[bridge]]` sections that cannot work are refused where they are written."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from event_schemas import bridge_section
from event_schemas.bridge_section import BridgeSpec
from event_schemas.errors import ExperimentError
from event_schemas.experiment import parse_experiment
from event_schemas.experiment_sections import Section
from tests.components.experiment_sample import HOMEFEED

SECTIONS = [v for v in vars(bridge_section).values() if isinstance(v, type) and issubclass(v, Section)]
FIELDS = {"request_id": "$key", "event_time": "$timestamp", "kind": "type"}


def spec(**changes: Any) -> BridgeSpec:
    return BridgeSpec.model_validate({"topic": "saves", "fields": FIELDS, **changes})


@pytest.mark.parametrize("section", SECTIONS, ids=lambda s: s.__name__)
def test_every_field_says_what_it_is(section: type[Section]) -> None:
    assert section.__doc__
    assert all(field.description for field in section.model_fields.values())


def test_what_may_be_left_out() -> None:
    found = spec()
    assert (found.format, found.time_unit, found.sampled, found.other_kinds) == ("json", "ms", True, "dead_letter")
    assert found.defaults.value == 1.0
    assert found.named_kinds == ()


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"framing": "bare"}, "are for format = 'avro'"),
        ({"schema_file": "x.avsc"}, "are for format = 'avro'"),
        ({"format": "avro", "framing": "bare"}, "give schema_file"),
        ({"format": "avro", "schema_file": "x", "schema_registry": "http://y"}, "not both"),
        ({"fields": {**FIELDS, "kind": None}}, r"map fields\.kind, or give defaults\.kind"),
        ({"fields": {**FIELDS, "kind": None}, "defaults": {"kind": "a"}, "kinds": {"A": "a"}}, r"map fields\.kind"),
        ({"fields": {**FIELDS, "request_id": "$value"}}, r"only \$key and \$timestamp"),
        ({"fields": {**FIELDS, "item_id": "pin..id"}}, "names joined by dots"),
        ({"fields": {**FIELDS, "item_id": ""}}, "names joined by dots"),
        ({"fields": {**FIELDS, "user": "u"}}, "Extra inputs"),
        ({"defaults": {"value": float("nan")}}, "finite"),
    ],
)
def test_what_cannot_work_is_refused(changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        spec(**changes)


def experiment(*sections: dict[str, Any]) -> Any:
    return parse_experiment({**tomllib.loads(HOMEFEED), "bridge": list(sections)}, Path("trimtab.toml"))


def test_kinds_written_out_must_count_for_something() -> None:
    section = {"topic": "saves", "fields": FIELDS, "kinds": {"SAVE": "repin"}, "defaults": {"kind": "click"}}
    assert experiment(section).bridge[0].named_kinds == ("repin", "click")
    with pytest.raises(ExperimentError, match=r"maps to \['repins'\], which no objective or guardrail counts"):
        experiment({**section, "kinds": {"SAVE": "repins"}})


def test_a_topic_is_bridged_once() -> None:
    section = {"topic": "saves", "fields": FIELDS}
    with pytest.raises(ExperimentError, match="topics must be unique"):
        experiment(section, section)
