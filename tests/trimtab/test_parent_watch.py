"""A child with a lifeline ends with its parent: cleanly if it can, else by force."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from tests.trimtab.test_child_process import await_text
from trimtab.child_process import spawn, stop

CHILD = """
import signal, time
from trimtab.parent_watch import end_with_parent
{handler}
end_with_parent(grace_s=0.2)
print("up", flush=True)
time.sleep(60)
"""
IN_ORDER = "signal.signal(signal.SIGTERM, lambda *_: exit(7))"
DEAF = "signal.signal(signal.SIGTERM, signal.SIG_IGN)"


@pytest.mark.parametrize(("handler", "status"), [(IN_ORDER, 7), (DEAF, 1), ("", -signal.SIGTERM)])
def test_a_closed_lifeline_ends_it(handler: str, status: int, tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = spawn([sys.executable, "-c", CHILD.format(handler=handler)], log=log, lifeline=True)
    await_text(log, "up")
    assert child.poll() is None
    assert child.stdin is not None
    child.stdin.close()
    assert child.wait(10) == status


def test_what_the_parent_says_is_not_its_end(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = spawn([sys.executable, "-c", CHILD.format(handler=IN_ORDER)], log=log, lifeline=True)
    await_text(log, "up")
    assert child.stdin is not None
    child.stdin.write(b"still here")
    child.stdin.flush()
    assert stop(child) == 7
    child.stdin.close()
