"""Broken fields are named as in the file: entries of lists by their names, every fault, and no fault of a fault."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, Field, ValidationError, field_validator

from event_schemas.field_faults import field_faults, fields, told


class Entry(BaseModel, extra="forbid"):
    name: str
    size: int = 1

    @field_validator("size")
    @classmethod
    def _even(cls, size: int) -> int:
        if size % 2:
            raise ValueError("write an even number")
        return size


class Document(BaseModel):
    entries: tuple[Entry, ...] = Field(min_length=1)
    title: str = ""


def found(document: Any) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        Document.model_validate(document)
    return [str(fault) for fault in field_faults(caught.value.errors(), document)]


def test_entries_go_by_their_names_and_every_fault_is_there() -> None:
    document = {"entries": [{"name": "a", "size": 3}, {"name": "b", "siez": 2}, {"size": 2}], "title": 7}
    assert found(document) == [
        "entries[a].size = 3: write an even number",
        "entries[b].siez = 2: Extra inputs are not permitted",
        "entries[2].name: Field required",
        "title = 7: Input should be a valid string",
    ]


def test_a_list_whose_entries_are_broken_is_not_called_short_as_well() -> None:
    assert found({"entries": [{"name": "a", "size": 3}]}) == ["entries[a].size = 3: write an even number"]
    assert found({"entries": []}) == ["entries: Tuple should have at least 1 item after validation, not 0"]


def test_long_values_are_cut_and_a_whole_document_has_no_field() -> None:
    (fault,) = found({"entries": [{"name": "a", "size": "9" * 1000}]})
    assert len(fault) < 300
    (named,) = found({"entries": [{"name": "a" * 1000, "size": 3}]})
    assert len(named) < 300
    assert found([1]) == ["Input should be a valid dictionary or instance of Document"]


def test_names_and_keys_make_no_second_line() -> None:
    assert found({"entries": [{"name": "a\nb", "c\nd": 2}]}) == [
        r"entries['a\nb'].'c\nd' = 2: Extra inputs are not permitted"
    ]


def test_many_faults_are_counted() -> None:
    faults = field_faults({"type": "x", "loc": (f"f{n}",), "msg": "m", "input": n} for n in range(23))
    assert told(faults, "the list").startswith("f0 = 0: m; f1 = 1: m; ")
    assert told(faults, "the list").endswith("f19 = 19: m; and 3 more in the list")
    assert told(faults[:20], "the list") == told(faults[:20])
    assert told(faults).endswith("f21 = 21: m; f22 = 22: m"), "nothing is hidden that is nowhere else"
    assert fields(faults[:2], "the file") == "f0, f1"
    assert fields(faults, "the file") == "these 23 fields"
    assert told(faults[:1]) == "f0 = 0: m"


def test_a_password_in_an_address_is_masked() -> None:
    for password in ("hunter2", "hunter2@x", "hunter2/x", "hunter2" + 200 * "x"):
        (fault,) = found({"entries": [{"name": "a", "url": f"https://user:{password}@host/x"}]})
        assert ("hunter2" in fault, "https://********" in fault) == (False, True)
