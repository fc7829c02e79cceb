"""A signal sets the flag wherever it interrupts, and a waiting thread continues."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from trimtab.stop_flag import StopFlag

MANY = """
import os, signal, threading
from trimtab.stop_flag import StopFlag

for number in range(400):
    flag = StopFlag()
    flag.listen()
    threading.Timer(number * 2e-5, os.kill, (os.getpid(), signal.SIGTERM)).start()
    while not flag.wait(1e-5):
        pass
"""


@pytest.fixture
def flag(signals_as_before: None) -> StopFlag:
    stop = StopFlag()
    stop.listen()
    return stop


def test_nobody_told() -> None:
    untold = StopFlag()
    assert not untold.wait(0.01) and not untold.is_set() and untold.seconds() == 0.0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_is_told_while_it_waits(flag: StopFlag, number: signal.Signals) -> None:
    threading.Timer(0.05, os.kill, (os.getpid(), number)).start()
    assert flag.wait(60.0)
    first = time.monotonic() - flag.seconds()
    os.kill(os.getpid(), number)
    assert time.monotonic() - flag.seconds() == pytest.approx(first, abs=0.01), "the first signal counts"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_interrupts_where_it_may_and_tells_of_it_again(number: signal.Signals, signals_as_before: None) -> None:
    flag = StopFlag()
    flag.listen(interrupt=True)
    flag.check()
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), number)
    assert flag.signal == number
    with pytest.raises(KeyboardInterrupt):
        flag.check()
    os.kill(os.getpid(), signal.SIGINT)
    assert flag.signal == number, "a second signal does not break into the cleaning up"


def test_a_signal_at_any_moment_of_a_wait_is_taken() -> None:
    assert subprocess.run([sys.executable, "-c", MANY], timeout=60, check=False).returncode == 0
