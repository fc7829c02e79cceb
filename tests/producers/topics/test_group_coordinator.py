"""Faults that pass by themselves, distinguished from those that do not."""

import pytest
from confluent_kafka import KafkaError, KafkaException

from producers.topics.group_coordinator import ask_coordinator, coordinator_is_moving


@pytest.mark.parametrize(
    ("code", "passing"),
    [
        (KafkaError.NOT_COORDINATOR, True),
        (KafkaError.COORDINATOR_LOAD_IN_PROGRESS, True),
        (KafkaError._TRANSPORT, False),
    ],
)
def test_only_a_moving_coordinator_passes(code: int, passing: bool) -> None:
    assert coordinator_is_moving(KafkaException(KafkaError(code))) is passing


def test_other_exceptions_are_not_the_coordinator_s() -> None:
    assert not coordinator_is_moving(ValueError("x"))


def test_a_moving_coordinator_is_asked_again_and_another_fault_is_raised_at_once() -> None:
    moving, away = (KafkaException(KafkaError(code)) for code in (KafkaError.NOT_COORDINATOR, KafkaError._TRANSPORT))
    answers: list[int | KafkaException] = [moving, moving, 7, away]

    def ask() -> int:
        answer = answers.pop(0)
        if isinstance(answer, KafkaException):
            raise answer
        return answer

    assert ask_coordinator(ask, 10.0) == 7
    with pytest.raises(KafkaException):
        ask_coordinator(ask, 10.0)
    assert answers == []
