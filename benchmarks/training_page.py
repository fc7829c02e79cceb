"""The figures of training and of its window, as one section of a page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from textwrap import wrap
from typing import Any

from benchmarks.page_section import replace_section

HEADING = "## Training: beside a bare loop, and the memory of a window"
LINE = 120
SHARE, MICROSECONDS, BYTES, LIMIT_MB = 0.8, 10.0, 1024, 4096
"""The goals: of the bare loop's rows per second, to encode a row, of memory for each row beyond the tensors, and for a
whole run."""

WHAT = """
Rows have a user embedding of 8, a history of 5 items with embeddings of 4, two context features, 49 arms and two
objectives. Training runs on one thread; the bare loop trains the same network on the same batches with torch's AdamW
and nothing else, while `trimtab learn` also computes the statistics of its normalisation anew. A window is read from
Parquet segments into arrays, as a run does; memory is the peak of its process, and per row the peak above a process
that has read a small window, less the tensors. A run reads the window, trains one epoch, compares the network with a
linear fit, evaluates, judges and saves the checkpoint. The figures are in `benchmarks/results/training.jsonl`.
"""


def write_page(page: Path, run: Mapping[str, Any]) -> None:
    """Replace the section of the page, or append it; other sections stay."""
    replace_section(page, HEADING, _section(run))


def _section(run: Mapping[str, Any]) -> list[str]:
    how = (
        f"Written by `python -m benchmarks.training` on {run['date']} at commit {run['commit']}. The goals are {SHARE}"
        f" of the bare loop, {MICROSECONDS:g} µs to encode a row, {BYTES:,} bytes a row beyond the tensors, and"
        f" {LIMIT_MB:,} MiB for a whole run."
    )
    training = [
        f"| {epochs} | {each['rows_per_s']:,} | {each['bare_rows_per_s']:,} | {_held(each['share_of_bare'], SHARE)} |"
        for epochs, each in run["training"].items()
    ]
    windows = [
        f"| {each['rows']:,} | {each['us_per_row']:g} | {each['peak_mb']:,.0f} | {each['tensors_mb']:,.0f} |"
        f" {_below(each['bytes_per_row_beyond_tensors'], BYTES)} |"
        for each in run["windows"]
    ]
    return [
        HEADING,
        "",
        *wrap(how, LINE),
        "",
        *wrap(" ".join(WHAT.split()), LINE),
        "",
        f"Encoding takes {_below(run['encoding_us_per_row'], MICROSECONDS)} µs of CPU a row of {run['rows']:,}.",
        "",
        "| epochs | rows per CPU second | bare loop | share |",
        "|---|---|---|---|",
        *training,
        "",
        "| rows of the window | µs per row to read and encode | peak, MiB | tensors, MiB | bytes per row beyond |",
        "|---|---|---|---|---|",
        *windows,
        "",
        "| rows of a whole run | seconds | peak, MiB |",
        "|---|---|---|",
        *(f"| {each['rows']:,} | {each['seconds']:g} | {_below(each['peak_mb'], LIMIT_MB)} |" for each in run["runs"]),
        "",
    ]


def _held(figure: float, goal: float) -> str:
    """The figure, with a word if it is below the goal."""
    return f"{figure:.2f}" if figure >= goal else f"{figure:.2f} (missed)"


def _below(figure: float, goal: float) -> str:
    """The figure, with a word if it is above the goal."""
    return f"{figure:,.1f}" if figure <= goal else f"{figure:,.1f} (missed)"
