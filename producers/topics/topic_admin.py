"""The topics on the broker: created as the topic table says, and looked at before they are used."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Self, TypeVar

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, but re-exported without __all__
    AclOperation,
    AdminClient,
    ClusterMetadata,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from event_schemas.errors import ComponentUnreachable, TrimtabError
from event_schemas.topics import TOPICS, Topic, topic_name
from producers.topics.kafka_connection import (
    Attempt,
    ConnectionFaults,
    asking,
    creating_client,
    explained,
    right_missing,
)
from producers.topics.kafka_refusals import RIGHTS

ANSWER_SECONDS = 5.0
LOOK_SECONDS = 0.5
DESCRIBE_SECONDS = 2.0
"""Only asked when a topic is not there; the embedded broker never answers this."""
BROKER_DEFAULT = -1
Answer = TypeVar("Answer")


class TopicError(TrimtabError):
    """A topic is missing, or is not as the topic table needs it."""


@dataclass(frozen=True, slots=True)
class TopicReport:
    """One topic after `create_topics`: whether it is new, and settings that differ from the table (ours → theirs)."""

    name: str
    created: bool
    partitions: int
    differing: Mapping[str, tuple[str, str]]


@dataclass(frozen=True)
class TopicAdmin:
    """A client for questions about topics, with what it needs to explain why one is not answered."""

    client: AdminClient
    client_config: Mapping[str, str]
    faults: ConnectionFaults

    @classmethod
    def connect(cls, client_config: Mapping[str, str]) -> Self:
        """Keep it until its questions are answered. Raises SettingError."""
        faults = ConnectionFaults()
        settings: dict[str, Any] = {**client_config, "error_cb": faults}
        with creating_client():
            client = AdminClient(settings, logger=logging.getLogger("trimtab.producers"))
        return cls(client, client_config, faults)

    def ask(self, attempt: Attempt, ask: Callable[[], Answer]) -> Answer:
        """The answer; raises ComponentUnreachable or RightMissing."""
        with asking(self.client_config, attempt, self.faults, lambda: self.client.poll(0)):
            return ask()

    def partition_counts(self, topic: str) -> dict[str, int]:
        """How many partitions every topic has that this user may know of; `topic` is the one it is about.

        A broker may take 5 s to answer; one that refuses the certificate or the password is not waited for.
        """
        metadata = self.ask(Attempt("Describe", "topic", topic), self._metadata)
        return {name: len(found.partitions) for name, found in metadata.topics.items() if found.error is None}

    def _metadata(self) -> ClusterMetadata:
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            try:
                return self.client.list_topics(timeout=LOOK_SECONDS)
            except KafkaException:
                self.client.poll(0)
                if time.monotonic() >= deadline or self.faults.is_refused:
                    raise

    def require_rights(self, topics: Sequence[Attempt], groups: Sequence[Attempt] = ()) -> None:
        """Raise RightMissing for the first of these that this user may not do, by what the broker tells of it.

        What it does not tell, and topics that do not exist, are left to whoever meets them. Brokers list a topic to
        nobody who may not describe it, and let a consumer without a right to its group wait in vain.
        """
        if topics:
            names = TopicCollection(list({attempt.name for attempt in topics}))
            described = self.client.describe_topics(
                names, request_timeout=DESCRIBE_SECONDS, include_authorized_operations=True
            )
            for attempt in topics:
                self._require(attempt, described[attempt.name])
        for attempt in groups:
            asked = self.client.describe_consumer_groups(
                [attempt.name], request_timeout=DESCRIBE_SECONDS, include_authorized_operations=True
            )
            self._require(attempt, asked[attempt.name])

    def require_right(self, topic: str) -> None:
        """Raise RightMissing when the topic is there and this user may not know it."""
        self.require_rights([Attempt("Describe", "topic", topic)])

    def _require(self, attempt: Attempt, answer: Future[Any]) -> None:
        try:
            allowed = answer.result().authorized_operations
        except KafkaException as fault:
            if fault.args[0].code() in RIGHTS:
                raise right_missing(self.client_config, attempt) from fault
            return
        # Whoever may describe it is told at least that; an empty answer comes from brokers that do not keep count.
        if allowed and AclOperation[attempt.operation.upper()] not in allowed:
            raise right_missing(self.client_config, attempt)


@contextmanager
def asking_as_group(client_config: Mapping[str, str], group: str) -> Iterator[None]:
    """Around a question about a consumer group: one that stays without an answer may be a right that is missing."""
    try:
        yield
    except ComponentUnreachable as fault:
        if type(fault) is ComponentUnreachable:
            TopicAdmin.connect(client_config).require_rights([], [Attempt("Describe", "group", group)])
        raise


def create_topics(
    client_config: Mapping[str, str], prefix: str, partitions: int, replication: int = BROKER_DEFAULT
) -> list[TopicReport]:
    """Creates every topic of the table that does not exist, and reports all of them.

    A topic that exists stays as it is: its differences are reported, its partition count is never changed (keys would
    move). Raises ComponentUnreachable, and TopicError when the broker refuses or the partition counts of the topics
    would differ, because an example lives in the partition of its events.
    """
    admin = TopicAdmin.connect(client_config)
    names = {topic_name(prefix, topic): topic for topic in TOPICS}
    existing = admin.partition_counts(next(iter(names)))
    require_equal_counts({name: existing.get(name, partitions) for name in names})
    missing = [name for name in names if name not in existing]
    _create(admin, [NewTopic(name, partitions, replication, config=dict(names[name].config)) for name in missing])
    _wait_until_visible(admin, missing)
    differing = _differences(admin, {name: names[name] for name in names if name in existing})
    return [
        TopicReport(name, name in missing, existing.get(name, partitions), differing.get(name, {})) for name in names
    ]


def partitions_of(client_config: Mapping[str, str], topic: str) -> int:
    """The topic's number of partitions; raises TopicError when there is none, ComponentUnreachable without a broker."""
    return partitions_of_all(client_config, [topic])[topic]


def partitions_of_all(client_config: Mapping[str, str], topics: Sequence[str]) -> dict[str, int]:
    """Each topic's number of partitions, in one question; raises as partitions_of."""
    admin = TopicAdmin.connect(client_config)
    counts = admin.partition_counts(topics[0])
    for topic in topics:
        if not counts.get(topic):
            admin.require_right(topic)
            raise TopicError(f"topic {topic} does not exist", fix="create the topics with `trimtab topics create`")
    return {topic: counts[topic] for topic in topics}


def touch_topics(client_config: Mapping[str, str], prefix: str) -> None:
    """Asks for every topic by name, which makes them appear on a broker that cannot create topics otherwise.

    For the embedded broker only: a real one would create them with its own defaults. Raises ComponentUnreachable.
    """
    admin = TopicAdmin.connect(client_config)
    for topic in TOPICS:
        name = topic_name(prefix, topic)
        admin.ask(Attempt("Describe", "topic", name), partial(admin.client.list_topics, name, ANSWER_SECONDS))


def require_equal_counts(counts: Mapping[str, int]) -> None:
    """Raise TopicError unless all topics have as many partitions: an example lives in the partition of its events."""
    if len(set(counts.values())) > 1:
        shown = ", ".join(f"{name}: {count}" for name, count in counts.items())
        raise TopicError(
            f"partition counts differ ({shown})", fix="give --partitions the count of the topics that exist already"
        )


def _create(admin: TopicAdmin, topics: list[NewTopic]) -> None:
    if not topics:
        return
    for name, answer in admin.client.create_topics(topics, request_timeout=ANSWER_SECONDS).items():
        try:
            answer.result()
        except KafkaException as fault:
            error = fault.args[0]
            if error.code() == KafkaError.TOPIC_ALREADY_EXISTS:
                continue
            if error.code() in RIGHTS:
                raise explained(error, admin.client_config, Attempt("Create", "topic", name)) from fault
            raise TopicError(
                f"topic {name} cannot be created: {error.str()}",
                fix="check --replication against the number of brokers, and the broker's log",
            ) from fault


def _wait_until_visible(admin: TopicAdmin, names: list[str]) -> None:
    """The controller answers before the brokers tell of a topic; a client that came in between would miss it."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while names and (unseen := set(names) - admin.partition_counts(names[0]).keys()):
        if time.monotonic() > deadline:
            for name in sorted(unseen):
                admin.require_right(name)
            raise TopicError(f"topics {', '.join(sorted(unseen))} do not appear", fix="check the broker's log")
        time.sleep(0.05)


def _differences(admin: TopicAdmin, topics: Mapping[str, Topic]) -> dict[str, dict[str, tuple[str, str]]]:
    """Per topic the settings whose value on the broker is another one than in the table."""
    if not topics:
        return {}
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in topics]
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for resource, answer in admin.client.describe_configs(resources, request_timeout=ANSWER_SECONDS).items():
        theirs = admin.ask(Attempt("DescribeConfigs", "topic", resource.name), answer.result)
        ours = topics[resource.name].config
        found[resource.name] = {
            key: (value, theirs[key].value)
            for key, value in ours.items()
            if key in theirs and theirs[key].value != value
        }
    return found
