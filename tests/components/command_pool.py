"""Runs several commands at once, each in a process that has already imported everything it needs."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from trimtab.cli import main

PRELOADED = "tests.components.preloaded"
AT_ONCE = 8
HANG_SECONDS = 120
RAISED = -1


@dataclass(frozen=True, slots=True)
class Call:
    """A command line without `trimtab`, its `TRIMTAB_*` variables, and its working directory."""

    arguments: tuple[str, ...]
    variables: Mapping[str, str]
    directory: Path


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: its exit code (`RAISED` if it raised an exception), and what it wrote to stderr.

    `waited` is its wall time in seconds minus its CPU time.
    """

    code: int
    errors: str
    waited: float

    @property
    def last_words(self) -> list[str]:
        """The last two lines on stderr."""
        return self.errors.strip().splitlines()[-2:]


def run_all(calls: Mapping[str, Call]) -> dict[str, Ended]:
    """Runs the commands; one that takes two minutes is ended, with the stacks of its threads on stderr."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([PRELOADED])
    with ProcessPoolExecutor(AT_ONCE, context, max_tasks_per_child=1) as pool:
        running = {name: pool.submit(_run, call) for name, call in calls.items()}
        return {name: future.result() for name, future in running.items()}


def _run(call: Call) -> Ended:
    os.chdir(call.directory)
    for name in [name for name in os.environ if name.startswith("TRIMTAB_")]:
        del os.environ[name]
    os.environ.update(call.variables)
    with tempfile.TemporaryFile() as errors, tempfile.TemporaryFile() as output:
        os.dup2(errors.fileno(), 2)
        os.dup2(output.fileno(), 1)
        faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
        began, busy = time.monotonic(), time.process_time()
        code = _exit_code(call.arguments)
        waited = time.monotonic() - began - (time.process_time() - busy)
        faulthandler.cancel_dump_traceback_later()
        sys.stderr.flush()
        errors.seek(0)
        return Ended(code, errors.read().decode(), waited)


def _exit_code(arguments: tuple[str, ...]) -> int:
    sys.argv = ["trimtab", *arguments]
    try:
        main()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else 0
    except BaseException:
        traceback.print_exc()
        return RAISED
    return 0
