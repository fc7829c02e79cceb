"""What is wrong with the fields of a document that pydantic refused, in words for the person who wrote it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from event_schemas.shown_text import LONGEST_VALUE, shown

NAMED_BY = ("name", "topic", "engagement_id")
"""Fields by which an entry of a list is called, in order of preference."""
MOST_TOLD = 20
"""Faults of one document that are told of in one line, where all of them can be seen elsewhere."""
ADDRESS_WITH_PASSWORD = re.compile(r"(\w*://).*@.*", re.DOTALL)
"""An address with a password, whose end nobody can tell for sure: all of it but the scheme is hidden."""


class FieldFault(NamedTuple):
    """One broken field: its path, such as `objectives[repin].attribution`; its value, if it has one; and the fault.

    The path of a whole document is empty.
    """

    field: str
    value: str | None
    message: str

    def __str__(self) -> str:
        subject = f"{self.field}{'' if self.value is None else f' = {self.value}'}"
        return f"{subject}: {self.message}" if subject else self.message


def told(faults: Sequence[FieldFault], rest_in: str | None = None) -> str:
    """The faults in one line.

    All of them; or, if `rest_in` says where the others can be seen, the first `MOST_TOLD` and how many others there
    are.
    """
    if rest_in is None or len(faults) <= MOST_TOLD:
        return "; ".join(map(str, faults))
    return f"{'; '.join(map(str, faults[:MOST_TOLD]))}; and {len(faults) - MOST_TOLD} more in {rest_in}"


def fields(faults: Sequence[FieldFault], whole: str) -> str:
    """The fields of the faults, each once, at most `MOST_TOLD`; `whole` stands for the whole document."""
    named = list(dict.fromkeys(each.field or whole for each in faults))
    return ", ".join(named) if len(named) <= MOST_TOLD else f"these {len(named)} fields"


def field_faults(errors: Iterable[Mapping[str, Any]], document: object = None) -> list[FieldFault]:
    """The `errors()` of pydantic in words; `document` is what it was given, for the names of entries in lists."""
    found, every = [], list(errors)
    for each in every:
        if each["type"] == "too_short" and any(_is_inside(other["loc"], each["loc"]) for other in every):
            continue  # only the broken entries are missing
        value = each["input"]
        whole = each["type"] == "missing" or isinstance(value, dict | list | tuple)
        message = each["msg"].removeprefix("Value error, ")
        if isinstance(value, str):
            value = ADDRESS_WITH_PASSWORD.sub(r"\1********", value)
        text = None if whole else shown(value)
        found.append(FieldFault(_path(each["loc"], document), text, message))
    return found


def _is_inside(location: tuple[int | str, ...], other: tuple[int | str, ...]) -> bool:
    return len(location) > len(other) and location[: len(other)] == other


def _path(location: tuple[int | str, ...], document: object) -> str:
    path, at = "", document
    for step in location:
        entry = _entry(at, step)
        if isinstance(step, int):
            path += f"[{_plain(_name_of(entry) or str(step))}]"
        else:
            path += f".{_plain(step)}" if path else _plain(step)
        at = entry
    return path


def _plain(name: str) -> str:
    """The name, in quotes and shortened if it would make a line break or a long line."""
    return name if name.isprintable() and len(name) <= LONGEST_VALUE else shown(name)


def _entry(holder: Any, step: int | str) -> object:
    if isinstance(holder, Mapping):
        return holder.get(step)
    if isinstance(holder, list) and isinstance(step, int) and step < len(holder):
        return holder[step]
    return None


def _name_of(entry: object) -> str | None:
    if not isinstance(entry, Mapping):
        return None
    return next((entry[key] for key in NAMED_BY if isinstance(entry.get(key), str) and entry[key]), None)
