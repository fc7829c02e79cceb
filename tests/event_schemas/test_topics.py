"""The topic table is complete, readable, and consistent with the package docstrings."""

from __future__ import annotations

from importlib import import_module

import pytest

from event_schemas.registry import Registry
from event_schemas.topics import DEFAULT_PREFIX, EVENTS, TOPICS, Topic, join_group, topic_name


def test_names_carry_the_prefix() -> None:
    assert topic_name(DEFAULT_PREFIX, EVENTS) == "trimtab.events"
    assert join_group(DEFAULT_PREFIX) == "trimtab.join"
    assert [topic.name for topic in TOPICS] == ["events", "examples", "dead-letters", "tallies", "explorations"]


def test_every_record_has_one_topic() -> None:
    registered = {entry.name for entry in Registry.bundled().entries()}
    assert sorted(record for topic in TOPICS for record in topic.records) == sorted(registered)


@pytest.mark.parametrize("topic", TOPICS, ids=lambda t: t.name)
def test_package_docstrings_name_the_topics_they_write_and_read(topic: Topic) -> None:
    for verb, packages in (("Writes", topic.writers), ("Reads", topic.readers)):
        for package in packages:
            doc = import_module(package).__doc__ or ""
            sentence = doc.split(verb, 1)[1].split("Writes" if verb == "Reads" else "Guarantees", 1)[0]
            assert topic.name in sentence, f"{package}: its `{verb}` does not name {topic.name}"


@pytest.mark.parametrize("topic", TOPICS, ids=lambda t: t.name)
def test_append_time_and_room_for_outputs(topic: Topic) -> None:
    assert topic.config["message.timestamp.type"] == "LogAppendTime"
    assert topic is EVENTS or int(topic.config["max.message.bytes"]) >= int(EVENTS.config["max.message.bytes"])
