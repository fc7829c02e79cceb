"""`python -m benchmarks.training`: training beside a bare loop, encoding, and the memory of a window of stored rows.

Each part runs in a process that starts afresh. Training runs on one thread, in turns with a bare torch loop over the
same batches. The window is read from segments as a run reads it. The figures also go to a section of docs/results.md.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from benchmarks.bench_broker import tell
from benchmarks.checkout_process import ROOT
from benchmarks.command_line import report, run_command
from benchmarks.results_folder import RESULTS, append_result
from benchmarks.study_run import commit, fresh_processes, origin
from benchmarks.training_load import SEED, WARM_ROWS, encoding_us, run_figures, training_rates, window_figures, write
from benchmarks.training_page import write_page
from learner.examples.stored_files import EXAMPLES_FOLDER

EPOCHS = (1, 8)
PAGE = ROOT / "docs" / "results.md"


def apart(part: Callable[..., Any], *given: Any) -> Any:
    """What a part gives in a process of its own."""
    with fresh_processes(1) as process:
        return process.submit(part, *given).result()


def measured(rows: int, window_rows: list[int], repeats: int, run: Callable[..., Any] = apart) -> dict[str, Any]:
    """All figures: `training` by epochs, `encoding_us_per_row`, `windows` and whole `runs` by rows.

    `run` calls each part.
    """
    figures: dict[str, Any] = {"rows": rows, "repeats": repeats, "training": {}, "windows": [], "runs": []}
    figures["encoding_us_per_row"] = run(encoding_us, rows)
    for epochs in EPOCHS:
        figures["training"][str(epochs)] = run(training_rates, rows, epochs, repeats)
        tell(f"{epochs} epochs measured")
    with TemporaryDirectory() as folder:
        warm = Path(folder) / "warm"
        run(write, warm, WARM_ROWS)
        for count in window_rows:
            learner = Path(folder) / str(count)
            stored = learner / EXAMPLES_FOLDER
            run(write, stored, count)
            figures["windows"].append(run(window_figures, stored, warm, count))
            figures["runs"].append(run(run_figures, learner, count))
            tell(f"window and run of {count} rows measured")
    return figures


def main(
    rows: Annotated[int, typer.Option(min=1000, help="Rows that are encoded and trained on.")] = 100_000,
    window: Annotated[str, typer.Option(help="Rows of the windows, separated by commas.")] = "100000,1000000",
    repeats: Annotated[int, typer.Option(min=1, help="Times that training and the bare loop run in turns.")] = 2,
    results: Annotated[Path, typer.Option(help="Folder for the figures.")] = RESULTS,
    page: Annotated[Path, typer.Option(help="The page whose section is replaced.")] = PAGE,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Measure training against a bare loop, the encoding of a row, and the memory of a window and of a run.

    Example: python -m benchmarks.training --json
    """
    started = commit()
    figures = measured(rows, [int(count) for count in window.split(",")], repeats)
    run = origin(started, SEED) | figures
    append_result(results, "training", run)
    write_page(page, run)
    report(run, as_json)


if __name__ == "__main__":
    run_command(main)
