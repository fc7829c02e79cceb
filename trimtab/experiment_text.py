"""The experiment in force, written out: what the file says and what holds where it says nothing.

The text is TOML that gives the same experiment again, unless an address in it had a password to mask.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from event_schemas.duration import format_duration
from event_schemas.experiment import Experiment
from event_schemas.experiment_sections import is_duration
from trimtab.secret_masking import masked_web_address

BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
CREDENTIALS = re.compile(r"[^\s/:@]+:\S+@")
"""A user and a password, in an address without a scheme."""
DEFAULT = "  # default"


def experiment_summary(experiment: Experiment) -> dict[str, Any]:
    """What the experiment is about, in a few values."""
    space = experiment.action_space
    return {
        "name": experiment.name,
        "arms": space.arms,
        "action_space": space.digest,
        "objectives": list(experiment.objective_names),
        "cohorts": [cohort.name for cohort in experiment.cohorts],
        "exploration_rate": experiment.experiment.exploration_rate,
        "window": format_duration(experiment.window_ms),
        "approval": experiment.gate.approval,
    }


def experiment_values(model: BaseModel) -> dict[str, Any]:
    """Every value that is set or has a default, as the file writes it: durations as text."""
    values = {name: _value(getattr(model, name), field) for name, field in type(model).model_fields.items()}
    return {name: value for name, value in values.items() if value is not None}


def experiment_lines(experiment: Experiment) -> Iterator[str]:
    """The lines of the file, with a remark where the value is a default."""
    for name in type(experiment).model_fields:
        yield from _section(name, getattr(experiment, name))


def _section(path: str, content: Any) -> Iterator[str]:
    """A table, or an array of tables; nothing for an empty one."""
    if isinstance(content, BaseModel):
        yield from ("", f"[{path}]")
        yield from _fields(path, content)
    elif isinstance(content, dict):
        yield from ("", f"[{path}]")
        yield from (f"{_key(name)} = {_text(_value(value))}" for name, value in content.items())
    elif isinstance(content, tuple):
        for each in content:
            yield from ("", f"[[{path}]]")
            yield from _fields(path, each)


def _fields(path: str, model: BaseModel) -> Iterator[str]:
    """The plain fields first: in TOML everything after a table's heading belongs to that table."""
    tables = []
    for name, field in type(model).model_fields.items():
        content = getattr(model, name)
        if _is_table(content):
            tables.append((name, content))
        elif content is not None:
            remark = "" if name in model.model_fields_set else DEFAULT
            yield f"{name} = {_text(_value(content, field))}{remark}"
    for name, content in tables:
        yield from _section(f"{path}.{name}", content)


def _is_table(content: Any) -> bool:
    tables = isinstance(content, tuple) and bool(content) and isinstance(content[0], BaseModel)
    return tables or isinstance(content, BaseModel) or (isinstance(content, dict) and bool(content))


def _value(content: Any, field: FieldInfo | None = None) -> Any:
    if isinstance(content, BaseModel):
        return experiment_values(content)
    if isinstance(content, tuple):
        return [_value(each) for each in content]
    if field is not None and content is not None and is_duration(field):
        return format_duration(content)
    if isinstance(content, str) and ("://" in content or CREDENTIALS.search(content)):
        return masked_web_address(content)
    return content


def _text(value: Any) -> str:
    """As TOML writes it: JSON's strings, numbers, booleans and lists are TOML's too, but for one character."""
    return "{}" if value == {} else json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _key(name: str) -> str:
    return name if BARE_KEY.fullmatch(name) else _text(name)
