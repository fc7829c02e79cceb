"""Rights that a broker reports are checked; rights that it does not report are assumed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from confluent_kafka.admin import AclOperation  # type: ignore[attr-defined]
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from event_schemas.errors import ComponentUnreachable, RightMissing
from producers.topics.kafka_connection import Attempt
from producers.topics.kafka_rights import require_rights
from producers.topics.topic_admin import create_topics
from tests.components.free_port import free_port
from tests.components.kafka_broker import KafkaBroker
from tests.components.secured_broker import ADMIN, SecuredBroker

USER = "nobody"
PREFIX = "asked."
TOPICS = [
    Attempt("Read", "topic", f"{PREFIX}events"),
    Attempt("Write", "topic", f"{PREFIX}events"),
    Attempt("Write", "topic", f"{PREFIX}examples"),
]
GROUPS = [Attempt("Read", "group", f"{PREFIX}join")]


@pytest.fixture(scope="module")
def secured(secured_kafka: SecuredBroker) -> Iterator[SecuredBroker]:
    create_topics(secured_kafka.client_config(ADMIN), PREFIX, 1, 1)
    yield secured_kafka
    secured_kafka.revoke_all(USER)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(granted=st.sets(st.sampled_from(TOPICS + GROUPS)))
def test_the_first_right_that_is_missing_is_named(secured: SecuredBroker, granted: set[Attempt]) -> None:
    secured.revoke_all(USER)
    for each in granted:
        secured.grant(USER, each.operation.upper(), each.kind, each.name, prefixed=False)
    missing = [str(each) for each in TOPICS + GROUPS if each not in granted]
    if not missing:
        require_rights(secured.client_config(USER), TOPICS, GROUPS)
        return
    with pytest.raises(RightMissing) as refused:
        require_rights(secured.client_config(USER), TOPICS, GROUPS)
    assert refused.value.what == f"Kafka user '{USER}' may not {missing[0]}"


def test_a_right_to_everything_is_every_right(secured: SecuredBroker) -> None:
    require_rights(secured.client_config(ADMIN), TOPICS, GROUPS)
    secured.revoke_all(USER)
    for each in TOPICS + GROUPS:
        secured.grant(USER, AclOperation.ALL.name, each.kind, each.name, prefixed=False)
    require_rights(secured.client_config(USER), TOPICS, GROUPS)


def test_a_broker_that_keeps_no_rights_and_a_topic_that_is_not_there_stop_nobody(kafka: KafkaBroker) -> None:
    client = {"bootstrap.servers": kafka.bootstrap}
    require_rights(client, [Attempt("Write", "topic", f"{PREFIX}nowhere")], GROUPS)


def test_a_broker_that_is_away_is_unreachable() -> None:
    with pytest.raises(ComponentUnreachable, match="does not answer"):
        require_rights({"bootstrap.servers": f"127.0.0.1:{free_port()}"}, TOPICS)
