"""Faults that pass by themselves, told from those that do not."""

import pytest
from confluent_kafka import KafkaError, KafkaException

from producers.topics.group_coordinator import coordinator_is_moving


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
