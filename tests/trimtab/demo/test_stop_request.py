"""A stop is not forgotten, even when the exception that told of it was."""

import os
import signal

import pytest

from trimtab.demo.stop_request import StopRequest


@pytest.fixture
def listening(signals_as_before: None) -> StopRequest:
    stop = StopRequest()
    stop.listen()
    return stop


def test_nobody_asked() -> None:
    StopRequest().check()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_interrupts_and_is_remembered(listening: StopRequest, number: signal.Signals) -> None:
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), number)
    assert listening.signal == number
    with pytest.raises(KeyboardInterrupt):
        listening.check()


def test_a_second_signal_does_not_break_into_the_cleaning_up(listening: StopRequest) -> None:
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGTERM)
    os.kill(os.getpid(), signal.SIGINT)
    assert listening.signal == signal.SIGINT
