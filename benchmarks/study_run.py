"""What studies that count errors have in common: where their code and figures come from, and processes that count."""

from __future__ import annotations

import platform
import subprocess
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from typing import Any

from benchmarks.checkout_process import ROOT


def commit() -> str:
    """The commit of this checkout; "unknown" outside git, and with "+" if files differ from it."""
    git = ["git", "-C", str(ROOT)]
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    if head.returncode:
        return "unknown"
    changed = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=False)
    return head.stdout.strip()[:12] + ("+" if changed.stdout.strip() else "")


def origin(started: str, seed: int) -> dict[str, Any]:
    """What is kept with the figures of a study that started at the commit `started`."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": started,
        "python": platform.python_version(),
        "seed": seed,
    }


def fresh_processes(count: int) -> ProcessPoolExecutor:
    """Processes that start afresh: a fork copies the locks that polars' threads hold, and may wait for one for ever."""
    return ProcessPoolExecutor(count, get_context("spawn"))
