"""Which topic a name stands for: offsets mean nothing without it.

Kafka gives every topic an id when it is created. A topic that is deleted and created again keeps its name and gets
another id, and its offsets count other records. Whoever keeps offsets outside Kafka's own bookkeeping stores the id
beside them and compares before reading on:

    identities = topic_identities(client_config, declared)     # once; `declared` is TRIMTAB_KAFKA_IDENTITY
    found = identities.of("trimtab.events")                    # before offsets are taken up
    if found != kept:
        raise …(recreated("trimtab.events", kept, found), fix=…)

An id is 1 to 64 characters out of A–Z, a–z, 0–9, `.`, `_` and `-`, so it fits into any text without quoting. There is
always one: where it cannot be found out, `of` raises.

TrimtabError
└── TopicError                  see topic_admin
    ├── TopicMissing            there is no topic of that name
    └── TopicUnidentified       the broker gives its topics no id
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Protocol

from confluent_kafka import KafkaError, KafkaException, TopicCollection

from event_schemas.errors import ComponentUnreachable, SettingError, TrimtabError
from producers.topics.kafka_connection import Attempt, explained
from producers.topics.topic_admin import TopicAdmin, TopicError

ANSWER_SECONDS = 5.0
IDENTITY = re.compile(r"[A-Za-z0-9._-]{1,64}")
NO_ID = "AAAAAAAAAAAAAAAAAAAAAA"
"""The zero id: what clusters answer that give their topics none."""
AS_KAFKA_WRITES = str.maketrans("+/", "-_")
"""The client writes ids in plain base64; Kafka's own tools show them in the alphabet that suits file names."""
MISSING = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.UNKNOWN_TOPIC_ID})


class TopicMissing(TopicError):
    """There is no topic of that name."""


class TopicUnidentified(TopicError):
    """The broker gives its topics no id."""


class TopicIdentities(Protocol):
    """Tells topics of the same name apart."""

    def of(self, topic: str) -> str:
        """The id of the topic that has this name now.

        Raises TopicMissing, TopicUnidentified, RightMissing without the right to describe it, or ComponentUnreachable.
        """


def topic_identities(client_config: Mapping[str, str], declared: str | None = None) -> TopicIdentities:
    """What tells topics apart: the ids that the broker gives, or what the runtime declares (then no broker is asked).

    `client_config` is in librdkafka's names. Raises SettingError for a declared identity that is none.
    """
    return BrokerIdentities(client_config) if declared is None else DeclaredIdentity(declared)


class BrokerIdentities:
    """The ids that the broker gives; one request for each answer, on a connection that stays open."""

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

    Whoever runs the cluster declares another one whenever topics begin anew.
    """

    def __init__(self, identity: str) -> None:
        if IDENTITY.fullmatch(identity) is None:
            raise SettingError(
                f"TRIMTAB_KAFKA_IDENTITY = {identity!r} is no identity",
                fix="give 1 to 64 characters out of A-Z, a-z, 0-9, '.', '_' and '-', or unset it to ask the broker",
            )
        self._identity = identity

    def of(self, topic: str) -> str:  # noqa: ARG002  it is the same for every topic
        """See TopicIdentities; nobody is asked."""
        return self._identity


def recreated(topic: str, kept: str, found: str) -> str:
    """The sentence for the error of whoever finds another topic than the one its offsets belong to."""
    return (
        f"topic {topic} was deleted and created again: the offsets kept are of topic id {kept}, its id is now {found}"
    )


def _explained(topic: str, fault: KafkaError, admin: TopicAdmin) -> TrimtabError:
    if fault.code() in MISSING:
        return TopicMissing(
            f"topic {topic} does not exist", fix="create it; `trimtab topics create` makes Trimtab's own topics"
        )
    attempt = Attempt("Describe", "topic", topic)
    admin.client.poll(0)
    told = explained(fault, admin.client_config, attempt, admin.faults)
    if fault.code() == KafkaError._TIMED_OUT and type(told) is ComponentUnreachable:
        return ComponentUnreachable(
            told.what, fix=f"{told.fix}; for a broker without topic ids set TRIMTAB_KAFKA_IDENTITY"
        )
    return told
