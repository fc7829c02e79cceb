"""The topics on the broker: created as the topic table says, and looked at before they are used."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, but re-exported without __all__
    AdminClient,
    ConfigResource,
    NewTopic,
    ResourceType,
)

from event_schemas.errors import ComponentUnreachable, SettingError, TrimtabError
from event_schemas.topics import TOPICS, Topic, topic_name

ANSWER_SECONDS = 5.0
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


def create_topics(
    client_config: Mapping[str, str], prefix: str, partitions: int, replication: int = BROKER_DEFAULT
) -> list[TopicReport]:
    """Creates every topic of the table that does not exist, and reports all of them.

    A topic that exists stays as it is: its differences are reported, its partition count is never changed (keys would
    move). Raises ComponentUnreachable, and TopicError when the broker refuses or the partition counts of the topics
    would differ, because an example lives in the partition of its events.
    """
    admin = admin_client(client_config)
    names = {topic_name(prefix, topic): topic for topic in TOPICS}
    existing = _partition_counts(admin)
    _check_equal_counts({name: existing.get(name, partitions) for name in names})
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
    counts = _partition_counts(admin_client(client_config))
    for topic in topics:
        if not counts.get(topic):
            raise TopicError(f"topic {topic} does not exist", mend="create the topics with `trimtab topics create`")
    return {topic: counts[topic] for topic in topics}


def touch_topics(client_config: Mapping[str, str], prefix: str) -> None:
    """Asks for every topic by name, which makes them appear on a broker that cannot create topics otherwise.

    For the embedded broker only: a real one would create them with its own defaults. Raises ComponentUnreachable.
    """
    admin = admin_client(client_config)
    for topic in TOPICS:
        _reach(partial(admin.list_topics, topic_name(prefix, topic), ANSWER_SECONDS))


def admin_client(client_config: Mapping[str, str]) -> AdminClient:
    """A client for questions about topics; keep it until they are answered. Raises SettingError."""
    try:
        return AdminClient(dict(client_config), logger=logging.getLogger("trimtab.producers"))
    except KafkaException as refused:
        raise SettingError(
            f"the Kafka client refuses its settings: {refused.args[0].str()}",
            mend="mend TRIMTAB_KAFKA_BOOTSTRAP or the other TRIMTAB_KAFKA_* variables",
        ) from refused


def _reach(ask: Callable[[], Answer]) -> Answer:
    try:
        return ask()
    except KafkaException as fault:
        raise ComponentUnreachable(
            f"Kafka does not answer within {ANSWER_SECONDS:g} s: {fault.args[0].str()}",
            mend="check TRIMTAB_KAFKA_BOOTSTRAP, and that the broker runs",
        ) from fault


def _partition_counts(admin: AdminClient) -> dict[str, int]:
    metadata = _reach(lambda: admin.list_topics(timeout=ANSWER_SECONDS))
    return {name: len(topic.partitions) for name, topic in metadata.topics.items() if topic.error is None}


def _check_equal_counts(counts: Mapping[str, int]) -> None:
    if len(set(counts.values())) > 1:
        shown = ", ".join(f"{name}: {count}" for name, count in counts.items())
        raise TopicError(
            f"partition counts differ ({shown})", mend="give --partitions the count of the topics that exist already"
        )


def _create(admin: AdminClient, topics: list[NewTopic]) -> None:
    if not topics:
        return
    for name, answer in admin.create_topics(topics, request_timeout=ANSWER_SECONDS).items():
        try:
            answer.result()
        except KafkaException as fault:
            error = fault.args[0]
            if error.code() == KafkaError.TOPIC_ALREADY_EXISTS:
                continue
            raise TopicError(
                f"topic {name} cannot be created: {error.str()}",
                mend="check the broker's rights, and --replication against its number of brokers",
            ) from fault


def _wait_until_visible(admin: AdminClient, names: list[str]) -> None:
    """The controller answers before the brokers tell of a topic; a client that came in between would miss it."""
    deadline = time.monotonic() + ANSWER_SECONDS
    while unseen := set(names) - _partition_counts(admin).keys():
        if time.monotonic() > deadline:
            raise TopicError(f"topics {', '.join(sorted(unseen))} do not appear", mend="check the broker's log")
        time.sleep(0.05)


def _differences(admin: AdminClient, topics: Mapping[str, Topic]) -> dict[str, dict[str, tuple[str, str]]]:
    """Per topic the settings whose value on the broker is another one than in the table."""
    if not topics:
        return {}
    resources = [ConfigResource(ResourceType.TOPIC, name) for name in topics]
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for resource, answer in admin.describe_configs(resources, request_timeout=ANSWER_SECONDS).items():
        theirs = _reach(answer.result)
        ours = topics[resource.name].config
        found[resource.name] = {
            key: (value, theirs[key].value)
            for key, value in ours.items()
            if key in theirs and theirs[key].value != value
        }
    return found
