"""`python -m benchmarks.evaluation_memory`: memory and time per row of log check and evaluation, by number of arms.

Each part runs in a process of its own on the same synthetic examples (`evaluation_load.py`). The memory is the peak
above what the input takes. With `--beside CHECKOUT` the code of another checkout is measured in the same run, part by
part after this one's, and the largest relative difference of the two results is reported.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmarks.bench_broker import tell
from benchmarks.command_line import report, run_command
from benchmarks.results_folder import RESULTS, append_result

LOAD = Path(__file__).with_name("evaluation_load.py")
HERE = LOAD.parents[1]
PARTS = ("log_check", "declared_log_check", "evaluation")
"""What is measured: `evaluation_load` has the code of each part; this process stays small without it."""
Figures = Mapping[str, Any]


def measure(code: Path, part: str, rows: int, arms: int) -> dict[str, Any]:
    """One part with the code of a checkout, in a process of its own."""
    given = json.dumps({"part": part, "rows": rows, "arms": arms})
    environment = os.environ | {"PYTHONPATH": str(code.resolve())}
    done = subprocess.run(
        [sys.executable, str(LOAD), given], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def per_row(found: Figures, rows: int) -> dict[str, float]:
    """Bytes and microseconds for each row."""
    return {
        "bytes_per_row": round(found["peak_mb"] * 2**20 / rows, 1),
        "us_per_row": round(found["seconds"] * 1e6 / rows, 2),
    }


def largest_difference(ours: Figures, theirs: Figures) -> float:
    """The largest difference of two results, relative to the larger of each pair."""
    pairs = [(ours["values"][name], theirs["values"][name]) for name in ours["values"]]
    return max((abs(a - b) / max(abs(a), abs(b)) for a, b in pairs if a != b), default=0.0)


def compared(code: Path | None, rows: int, arms: Sequence[int]) -> dict[str, Any]:
    """The figures of every part by number of arms, `<part>_<arms>`; those of the other checkout end with `_beside`."""
    figures: dict[str, Any] = {"rows": rows}
    differences = [0.0]
    for part in PARTS:
        for count in arms:
            found = measure(HERE, part, rows, count)
            figures[f"{part}_{count}"] = per_row(found, rows)
            if code is not None:
                other = measure(code, part, rows, count)
                figures[f"{part}_{count}_beside"] = per_row(other, rows)
                differences.append(largest_difference(found, other))
            tell(f"{part} with {count} arms measured")
    return figures | ({} if code is None else {"largest_difference": max(differences)})


def main(
    rows: Annotated[int, typer.Option(min=100, help="Number of examples.")] = 20_000,
    arms: Annotated[str, typer.Option(help="Numbers of arms, separated by commas.")] = "50,1001",
    beside: Annotated[Path | None, typer.Option(help="Another checkout whose code is measured too.")] = None,
    results: Annotated[Path, typer.Option(help="Folder for the figures.")] = RESULTS,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Measure memory and time per row of log check and evaluation.

    Example: python -m benchmarks.evaluation_memory --rows 20000 --arms 50,1001 --json
    """
    result = compared(beside, rows, [int(count) for count in arms.split(",")])
    append_result(results, "evaluation_memory", result)
    report(result, as_json)


if __name__ == "__main__":
    run_command(main)
