"""What the end of a child says about its mutant."""

from __future__ import annotations

import signal

import pytest

from tests.mutants.mutant_trial import KILLED, NOT_IMPORTED, SURVIVED, Verdict, verdict


def exited(code: int) -> int:
    """The status of a process that ended with this code, as `waitpid` gives it."""
    return code << 8


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (exited(SURVIVED), (Verdict.SURVIVED, None)),
        (exited(NOT_IMPORTED), (Verdict.NOT_IMPORTED, None)),
        (exited(KILLED), (Verdict.KILLED, 0)),
        (exited(KILLED + 2), (Verdict.KILLED, 2)),
        (signal.SIGPROF, (Verdict.TIMED_OUT, None)),
        (signal.SIGALRM, (Verdict.TIMED_OUT, None)),
        (signal.SIGSEGV, (Verdict.KILLED, None)),
    ],
)
def test_a_status_is_a_verdict(status: int, expected: tuple[Verdict, int | None]) -> None:
    assert verdict(status) == expected
