"""Log lines of a long-running command: ours in one form, libraries' from warnings on, our errors only once."""

from __future__ import annotations

import logging
import subprocess
import sys

from trimtab.process_log import REMEMBERED, REPEATED_SECONDS, Repeats

SCRIPT = """
import logging, structlog
from event_schemas.errors import TrimtabError
from trimtab.process_log import log_to_stderr
log_to_stderr()
structlog.get_logger("x").info("partition taken", partition=3, done=True)
structlog.get_logger("x").debug("unseen")
logging.getLogger("library").info("unseen")
logging.getLogger("library").warning("seen %s", 7)
for fault in (TrimtabError("unseen", fix="unseen"), ValueError("a bug")):
    try:
        raise fault
    except Exception:
        logging.getLogger("library").exception("crashed")
from aiokafka.errors import GroupAuthorizationFailedError
for _ in range(3):
    try:
        raise GroupAuthorizationFailedError("g")
    except Exception:
        logging.getLogger("library").exception("left %s", "out")
"""


def test_lines() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert lines[0].startswith("timestamp=20")
    assert lines[0].endswith('level=info event="partition taken" partition=3 done=true')
    assert lines[1].endswith("WARNING library seen 7")
    assert lines[2].endswith("ERROR library crashed")
    assert "unseen" not in done.stderr
    assert lines[-2] == "ValueError: a bug"
    assert lines[-1].endswith("ERROR library left out: GroupAuthorizationFailedError('g')")


def record(text: str, *args: object) -> logging.LogRecord:
    return logging.LogRecord("library", logging.WARNING, "", 0, text, args, None)


def test_a_line_that_comes_again_is_written_now_and_then() -> None:
    now = 0.0
    repeats = Repeats(lambda: now)
    assert repeats(record("%s is gone", "a")) and repeats(record("%s is gone", "b"))
    assert not any(repeats(record("%s is gone", "a")) for _ in range(70))
    now = REPEATED_SECONDS
    again = record("%s is gone", "a")
    assert repeats(again) and again.getMessage() == "a is gone (repeated 70 times before)"
    assert not repeats(record("a is gone"))


def test_many_different_lines_are_not_remembered_for_ever() -> None:
    repeats = Repeats(lambda: 0.0)
    for number in range(3 * REMEMBERED):
        assert repeats(record(f"line {number}"))
    assert repeats(record("line 0")) and not repeats(record(f"line {3 * REMEMBERED - 1}"))
