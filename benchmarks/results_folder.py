"""The results of benchmarks: a line of figures per run and a plot of the newest run."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from off_policy.svg_rendering import to_svg

if TYPE_CHECKING:
    import altair as alt

RESULTS = Path(__file__).with_name("results")


def append_result(folder: Path, name: str, figures: Mapping[str, Any], now: datetime | None = None) -> None:
    """Append a line to `<name>.jsonl`, with the time and the load of the machine."""
    folder.mkdir(parents=True, exist_ok=True)
    line = {
        "measured_at": (now or datetime.now(UTC)).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 2),
        **figures,
    }
    with (folder / f"{name}.jsonl").open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(line) + "\n")


def write_plot(folder: Path, name: str, chart: alt.TopLevelMixin, description: str) -> Path:
    """Draw `<name>.svg`; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.svg"
    path.write_text(to_svg(chart, description) + "\n", encoding="utf-8")
    return path
