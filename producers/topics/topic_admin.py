"""Creates the topics of the topic table on the broker, and checks topics before they are used."""

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
    CREATE_TOPICS,
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
"""Timeout of requests about rights; the embedded broker never answers them."""
BROKER_DEFAULT = -1
Answer = TypeVar("Answer")


class TopicError(TrimtabError):
    """A topic is missing, or differs from what the topic table requires."""


@dataclass(frozen=True, slots=True)
class TopicReport:
    """One topic after `create_topics`: whether it is new, and settings that differ, as (table's, broker's) value."""

    name: str
    created: bool
    partitions: int
    differing: Mapping[str, tuple[str, str]]


@dataclass(frozen=True)
class TopicAdmin:
    """A client for requests about topics, with what is needed to explain a request that fails."""

    client: AdminClient
    client_config: Mapping[str, str]
    faults: ConnectionFaults

    @classmethod
    def connect(cls, client_config: Mapping[str, str]) -> Self:
        """Creates the client; keep it until its requests are answered. Raises SettingError."""
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
        """The number of partitions of every topic that this user may see; `topic` is the one named in errors.

        Waits up to 5 s for the broker, but not when it refuses the certificate or the password.
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
        """Raises RightMissing for the first of these that, according to the broker, this user may not do.

        Passes if the broker does not answer or a topic does not exist: later requests report that. The check is needed
        because brokers hide a topic from users who may not describe it, and let a consumer without a right to its group
        wait forever.
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
        """Raises RightMissing when the topic exists and this user may not describe it."""
        self.require_rights([Attempt("Describe", "topic", topic)])

    def _require(self, attempt: Attempt, answer: Future[Any]) -> None:
        try:
            allowed = answer.result().authorized_operations
        except KafkaException as fault:
            if fault.args[0].code() in RIGHTS:
                raise right_missing(self.client_config, attempt) from fault
            return
        # A user who may describe it gets at least that right back; brokers that do not report rights return none.
        if allowed and AclOperation[attempt.operation.upper()] not in allowed:
            raise right_missing(self.client_config, attempt)


@contextmanager
def asking_as_group(client_config: Mapping[str, str], group: str) -> Iterator[None]:
    """Wraps a request about a consumer group: when there is no answer, checks whether a right is missing."""
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

    An existing topic is not changed: its differences are reported, and its partition count is kept (keys would move).
    Raises ComponentUnreachable, and TopicError when the broker refuses or the topics' partition counts would differ:
    an example goes to the partition of its events.
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
    """The topic's number of partitions; raises TopicError when it does not exist, and ComponentUnreachable."""
    return partitions_of_all(client_config, [topic])[topic]


def partitions_of_all(client_config: Mapping[str, str], topics: Sequence[str]) -> dict[str, int]:
    """Each topic's number of partitions, with one request; raises the same errors as `partitions_of`."""
    admin = TopicAdmin.connect(client_config)
    counts = admin.partition_counts(topics[0])
    absent = [topic for topic in topics if not counts.get(topic)]
    for topic in absent:
        admin.require_right(topic)
    if absent:
        raise absent_topics(absent)
    return {topic: counts[topic] for topic in topics}


def absent_topics(topics: Sequence[str]) -> TopicError:
    """The error for topics of Trimtab's own that do not exist."""
    first, *others = topics
    more = f", nor {'does' if len(others) == 1 else 'do'} {', '.join(others)}" if others else ""
    return TopicError(f"topic {first} does not exist{more}", fix=CREATE_TOPICS)


def touch_topics(client_config: Mapping[str, str], prefix: str) -> None:
    """Requests every topic by name, which creates it on a broker that has no other way to create topics.

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
            f"partition counts differ ({shown})", fix="set --partitions to the count of the topics that already exist"
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
    """Waits until the brokers list the topics: the controller answers earlier, and a client would not find them yet."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while names and (unseen := set(names) - admin.partition_counts(names[0]).keys()):
        if time.monotonic() > deadline:
            for name in sorted(unseen):
                admin.require_right(name)
            raise TopicError(f"topics {', '.join(sorted(unseen))} do not appear", fix="check the broker's log")
        time.sleep(0.05)


def _differences(admin: TopicAdmin, topics: Mapping[str, Topic]) -> dict[str, dict[str, tuple[str, str]]]:
    """The settings, per topic, whose value on the broker differs from the table."""
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
