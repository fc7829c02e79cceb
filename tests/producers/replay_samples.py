"""A small log, its mapping and its experiment, for the replay's tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from event_schemas.experiment import Experiment, load_experiment

EXPERIMENT = """
[experiment]
name = "shelf"
salt = "pepper"

[catalogue]
production = "a"
features = ["price"]
arms = [{ name = "a", features = [0.5] }, { name = "b", features = [1.0] }, { name = "7", features = [2.0] }]

[[objectives]]
name = "click"
kinds = ["click"]
attribution = "1h"

[[features.context]]
name = "surface"
required = true

[join]
clock = "replay"
allowed_lateness = "5m"
"""

MAPPING = """
[request]
id = "{file}-{row}"
event_time = "when"
user_id = "user"

[request.context]
surface = "surface"
hour = "hour"

[action]
arm = "item"

[propensity]
propensity = "p"

[[engagements]]
kind = "click"
count = "clicks"
item_id = "item"
event_time = "clicked_at"
"""

START = 1_574_553_600_000


def row(**changes: Any) -> dict[str, Any]:
    """One good row; `changes` replace its values."""
    good = {
        "when": START,
        "user": "u1",
        "surface": "home",
        "hour": None,
        "item": "b",
        "p": 0.5,
        "clicks": 0,
        "clicked_at": None,
    }
    return good | changes


def write_log(path: Path, rows: list[dict[str, Any]]) -> Path:
    """The rows as JSON lines."""
    path.write_text("".join(json.dumps(values) + "\n" for values in rows), encoding="utf-8")
    return path


def shelf_experiment(folder: Path, text: str = EXPERIMENT) -> Experiment:
    """The experiment, loaded from a file in `folder`."""
    path = folder / "shelf.toml"
    path.write_text(text, encoding="utf-8")
    return load_experiment(path)
