"""When a consumer group's coordinator is only on the move."""

from confluent_kafka import KafkaError, KafkaException

PASSING = frozenset(
    {
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
    }
)


def coordinator_is_moving(fault: Exception) -> bool:
    """Whether asking again soon is likely to help: the coordinator is being found, moved or loaded."""
    return isinstance(fault, KafkaException) and fault.args[0].code() in PASSING
