"""A script that runs on the code of a checkout and measures each time it is asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from event_schemas.errors import TrimtabError

ROOT = Path(__file__).parents[1]


class BaseUnusable(TrimtabError):
    """The base is no checkout whose code can be run."""


class CheckoutProcess:
    """The process of a script: it reads a line for each measurement and answers with one of JSON.

    `measured` is what the script runs, in a word or two.
    """

    def __init__(self, measured: str, checkout: Path, script: Path, arguments: Sequence[str]) -> None:
        environment = {**os.environ, "PYTHONPATH": str(checkout), "PYTHONHASHSEED": "0"}
        command = [sys.executable, "-P", str(script), *arguments]
        self._name = f"the {measured} of {checkout}"
        self._process = subprocess.Popen(
            command, env=environment, cwd=checkout, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def measure(self, asked: str) -> dict[str, Any]:
        """The figures of one more measurement; raises BaseUnusable when the process ended."""
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(f"{asked}\n")
            self._process.stdin.flush()
            figures: dict[str, Any] = json.loads(self._process.stdout.readline())
        except (OSError, ValueError) as fault:
            raise BaseUnusable(
                f"{self._name} ended", fix="its error is above; does it have this experiment?"
            ) from fault
        return figures

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.communicate()


def base_checkout(base: Path, packages: Sequence[str]) -> Path:
    """The base as a full path; raises BaseUnusable unless it has these packages."""
    if not all((base / package).is_dir() for package in packages):
        raise BaseUnusable(
            f"{base} has no folders {' and '.join(packages)}", fix="git worktree add PATH COMMIT, and give that PATH"
        )
    return base.resolve()
