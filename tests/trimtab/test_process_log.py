"""Log lines of a long-running command: ours in one form, libraries' from warnings on, our errors only once."""

from __future__ import annotations

import inspect
import logging
import subprocess
import sys

from aiokafka.consumer import group_coordinator
from aiokafka.errors import GroupAuthorizationFailedError, GroupCoordinatorNotAvailableError

from trimtab.process_log import NORMAL_WITHIN_SECONDS, PASSING, REMEMBERED, REPEATED_SECONDS, NormalStates, Repeats

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
import stamina
answers = iter([ValueError("no coordinator yet")])
for attempt in stamina.retry_context(on=ValueError, wait_initial=0.01, wait_max=0.01):
    with attempt:
        for fault in answers:
            raise fault
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
    assert lines[-3] == "ValueError: a bug"
    assert 'level=info event="asking again" after="ValueError(' in lines[-2]
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


def test_a_normal_state_is_no_error_until_it_lasts() -> None:
    now = 0.0
    states = NormalStates(lambda: now)
    lasting, levels = NORMAL_WITHIN_SECONDS, []
    for now in (0.0, 1.0, lasting - 1, lasting, lasting + 1, 3 * lasting):  # noqa: B007  the clock reads it
        seen = record("Group Coordinator Request failed: %s", GroupCoordinatorNotAvailableError())
        assert states(seen)
        levels.append(seen.levelname)
    assert levels == ["INFO", "INFO", "INFO", "WARNING", "WARNING", "INFO"]
    other = record("Group Coordinator Request failed: %s", GroupAuthorizationFailedError("g"))
    assert states(other) and other.levelname == "WARNING"


def test_the_lines_of_normal_states_are_those_of_the_client_in_use() -> None:
    source = inspect.getsource(group_coordinator)
    for words in ("Group Coordinator Request failed: %s", "Heartbeat failed for group %s because it is rebalancing"):
        assert f'"{words}"' in source
        assert any(state.match(words.replace("%s", "[Error 15]")) for state in PASSING)
