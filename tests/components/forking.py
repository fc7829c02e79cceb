"""Forks for tests, in a separate process, because pytest's process has threads of other tests."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SECONDS = 60.0
RUN = """
import importlib, json, sys
module, name, *arguments = sys.argv[1:]
print(json.dumps(getattr(importlib.import_module(module), name)(*arguments)))
"""


def outcome_of(scenario: Callable[..., Any], *arguments: object) -> Any:
    """Run `scenario`, a function of a test file, in a separate process; returns its result, passed as JSON."""
    done = subprocess.run(
        command_of(scenario, *arguments), cwd=ROOT, capture_output=True, text=True, timeout=2 * SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def command_of(scenario: Callable[..., Any], *arguments: object) -> list[str]:
    """The command that runs `scenario`; start it in `ROOT`."""
    return [sys.executable, "-c", RUN, scenario.__module__, scenario.__name__, *map(str, arguments)]


def in_child(work: Callable[[], Any]) -> Any:
    """Run `work` in a forked child; returns its result, passed as JSON. A child that hangs for a minute is killed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, json.dumps(work()).encode())
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(writing)
    if not select.select([reading], [], [], SECONDS)[0]:
        os.kill(child, signal.SIGKILL)
    told = b""
    while block := os.read(reading, 65_536):
        told += block
    os.close(reading)
    os.waitpid(child, 0)
    assert told, "the child hung or failed"
    return json.loads(told)


def ended(child: int, seconds: float = SECONDS) -> int:
    """Wait for a forked child; returns its exit status, or minus the signal. A child that hangs is killed (-9)."""
    deadline = time.monotonic() + seconds
    while not (found := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() >= deadline:
            os.kill(child, signal.SIGKILL)
            found = os.waitpid(child, 0)
            break
        time.sleep(0.005)
    return os.waitstatus_to_exitcode(found[1])
