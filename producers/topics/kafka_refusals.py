"""Kafka's refusals that stay, in groups by what has to change before trying again can help.

- `EVENT_REFUSED`: nothing can. The broker looked at the event itself and takes it from nobody, so it is dropped, or
  becomes a dead letter, and what comes after it goes on.
- `RIGHTS`: somebody grants this user a right.
- `CREDENTIALS`, and a certificate that is not trusted (`refuses_client`): somebody corrects the client's settings.
- `NO_DESTINATION`: somebody creates the topic, or sends to another one. The client has asked the broker again by then.
- `POSITION_GONE`: somebody decides where to read on. Retention or a new topic has taken the record to be read next.

Every other fault passes: the broker is away, busy, slow or on the move.
"""

from __future__ import annotations

from confluent_kafka import KafkaError

EVENT_REFUSED = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_RECORD,
        KafkaError.INVALID_MSG,
    }
)
GROUP_RIGHT = KafkaError.GROUP_AUTHORIZATION_FAILED
RIGHTS = frozenset({KafkaError.TOPIC_AUTHORIZATION_FAILED, GROUP_RIGHT, KafkaError.CLUSTER_AUTHORIZATION_FAILED})
CREDENTIALS = frozenset({KafkaError._AUTHENTICATION, KafkaError.SASL_AUTHENTICATION_FAILED})
NO_DESTINATION = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError.TOPIC_EXCEPTION,
    }
)
TOPIC_ABSENT = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC})
"""The part of NO_DESTINATION that creating the topic ends."""
POSITION_GONE = frozenset({KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE})
CERTIFICATE = "certificate"
"""Occurs in the text of a permanent TLS fault; TLS also fails when a broker disappears during the handshake."""


def needs_a_person(fault: KafkaError) -> bool:
    """Whether Kafka refuses every event like this one, and will refuse until a person fixes something."""
    return fault.code() in RIGHTS | NO_DESTINATION or refuses_client(fault.code(), fault.str())


def refuses_client(code: int, text: str) -> bool:
    """Whether client and broker do not trust each other, by the code and the words of a fault."""
    return code in CREDENTIALS or (code == KafkaError._SSL and CERTIFICATE in text)
