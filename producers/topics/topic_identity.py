"""The id of the topic that has a name now: stored offsets are valid only for the topic with their id.

Kafka gives every topic an id when it is created. A topic that is deleted and created again keeps its name but gets
another id, and its offsets count other records. Code that stores offsets outside Kafka's own bookkeeping stores the id
with them, and compares it before it continues reading:

    identities = topic_identities(client_config, declared)     # once; `declared` is TRIMTAB_KAFKA_IDENTITY
    found = identities.of("trimtab.events")                    # before stored offsets are used
    if found != kept:
        raise …(recreated("trimtab.events", kept, found), fix=…)

An id is 1 to 64 characters out of A–Z, a–z, 0–9, `.`, `_` and `-`, so it fits into any text without quoting. `of`
always returns one, or raises when it cannot be determined.

TrimtabError
└── TopicError                  see topic_admin
    ├── TopicMissing            there is no topic with that name
    └── TopicUnidentified       the broker gives its topics no id
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Protocol

from confluent_kafka import KafkaError, KafkaException, TopicCollection

from event_schemas.errors import ComponentUnreachable, SettingError, TrimtabError
from producers.topics.kafka_connection import CREATE_TOPICS, Attempt, explained
from producers.topics.topic_admin import TopicAdmin, TopicError

ANSWER_SECONDS = 5.0
IDENTITY = re.compile(r"[A-Za-z0-9._-]{1,64}")
NO_ID = "AAAAAAAAAAAAAAAAAAAAAA"
"""The zero id, which clusters without topic ids return."""
AS_KAFKA_WRITES = str.maketrans("+/", "-_")
"""The client gives ids in standard base64; Kafka's own tools show them in URL-safe base64."""
MISSING = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.UNKNOWN_TOPIC_ID})


class TopicMissing(TopicError):
    """There is no topic with that name; the fix is for one of Trimtab's own."""


class TopicUnidentified(TopicError):
    """The broker gives its topics no id."""


class TopicIdentities(Protocol):
    """Tells topics of the same name apart."""

    def of(self, topic: str) -> str:
        """The id of the topic that has this name now.

        Raises TopicMissing, TopicUnidentified, RightMissing when the user may not describe it, or ComponentUnreachable.
        """


def topic_identities(client_config: Mapping[str, str], declared: str | None = None) -> TopicIdentities:
    """The source of topic ids: the broker, or, without asking it, the identity that the runtime declares.

    `client_config` is in librdkafka's names. Raises SettingError for an invalid declared identity.
    """
    return BrokerIdentities(client_config) if declared is None else DeclaredIdentity(declared)


class BrokerIdentities:
    """Topic ids from the broker; each call sends one request, on a connection that stays open."""

    def __init__(self, client_config: Mapping[str, str], timeout_s: float = ANSWER_SECONDS) -> None:
        self._client_config = dict(client_config)
        self._timeout_s = timeout_s
        self._admin: TopicAdmin | None = None

    def of(self, topic: str) -> str:
        """See TopicIdentities."""
        self._admin = admin = self._admin or TopicAdmin.connect(self._client_config)
        answers = admin.client.describe_topics(TopicCollection([topic]), request_timeout=self._timeout_s)
        try:
            identity = str(answers[topic].result().topic_id).translate(AS_KAFKA_WRITES)
        except KafkaException as fault:
            raise _explained(topic, fault.args[0], admin) from fault
        if identity == NO_ID:
            raise TopicUnidentified(
                f"topic {topic}: the broker gives its topics no id",
                fix="use Kafka 2.8 or later, or set TRIMTAB_KAFKA_IDENTITY to a name that you change with every topic",
            )
        return identity


class DeclaredIdentity:
    """One identity for every topic of a cluster whose topics have no ids, such as the embedded broker's.

    The operator of the cluster declares a new one whenever topics are created again.
    """

    def __init__(self, identity: str) -> None:
        if IDENTITY.fullmatch(identity) is None:
            raise SettingError(
                f"TRIMTAB_KAFKA_IDENTITY = {identity!r} is not a valid identity",
                fix="give 1 to 64 characters out of A-Z, a-z, 0-9, '.', '_' and '-', or unset it to ask the broker",
            )
        self._identity = identity

    def of(self, topic: str) -> str:  # noqa: ARG002  it is the same for every topic
        """See TopicIdentities; no broker is asked."""
        return self._identity


def recreated(topic: str, kept: str, found: str) -> str:
    """The error message for stored offsets that belong to an earlier topic with the same name."""
    return (
        f"topic {topic} was deleted and created again: stored offsets belong to topic id {kept}, its id is now {found}"
    )


def _explained(topic: str, fault: KafkaError, admin: TopicAdmin) -> TrimtabError:
    if fault.code() in MISSING:
        return TopicMissing(f"topic {topic} does not exist", fix=CREATE_TOPICS)
    attempt = Attempt("Describe", "topic", topic)
    admin.client.poll(0)
    told = explained(fault, admin.client_config, attempt, admin.faults)
    if fault.code() == KafkaError._TIMED_OUT and type(told) is ComponentUnreachable:
        return ComponentUnreachable(
            told.what, fix=f"{told.fix}; for a broker without topic ids set TRIMTAB_KAFKA_IDENTITY"
        )
    return told
