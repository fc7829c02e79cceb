"""The topics are looked at again and again: what was added is named, another topic ends the worker."""

from __future__ import annotations

import asyncio

import pytest

from event_schemas.errors import ComponentUnreachable, TrimtabError
from stream_processors.partition.commit_position import LogReplaced
from stream_processors.worker import topic_watch
from stream_processors.worker.topic_watch import TopicState, TopicWatch

BEGUN = TopicState("id-1", 4, 4)


def watch(*found: TopicState | Exception) -> TopicWatch:
    """A watch whose looks find these, one after the other."""
    left = list(found)

    def look() -> TopicState:
        now = left.pop(0)
        if isinstance(now, Exception):
            raise now
        return now

    return TopicWatch("events", BEGUN, look)


def test_what_the_group_does_not_know_of_is_unread_until_it_does() -> None:
    topics = watch()
    topics.take_in(BEGUN, 4)
    assert (topics.unread, topics.reasons()) == (0, [])
    topics.take_in(TopicState("id-1", 6, 4), 4)
    [reason] = topics.reasons()
    assert topics.unread == 2 and "2 of 6 partitions of events were added" in reason and "operating_the_join" in reason
    topics.take_in(TopicState("id-1", 6, 6), 6)
    assert (topics.unread, topics.reasons(), topics.state.output_partitions) == (0, [], 6)


def test_a_topic_created_again_ends_the_worker_whatever_its_size() -> None:
    for partitions in (3, 4, 5):
        with pytest.raises(LogReplaced, match="was id-1 and is now id-2"):
            watch().take_in(TopicState("id-2", partitions, partitions), 4)


def test_it_looks_on_after_a_broker_that_did_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topic_watch, "LOOK_SECONDS", 0.001)
    away = ComponentUnreachable("away", fix="start it")
    topics = watch(BEGUN, away, TopicState("id-1", 5, 5), TopicState("id-2", 5, 5))
    with pytest.raises(LogReplaced):
        asyncio.run(topics.watch(lambda: 4))
    assert topics.unread == 1


def test_a_topic_that_is_gone_is_a_reason_until_it_is_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topic_watch, "LOOK_SECONDS", 0.001)
    gone, away = TrimtabError("events is gone", fix="create it"), ComponentUnreachable("away", fix="start it")
    seen: list[list[str]] = []
    topics = watch(gone, gone, away, BEGUN, TopicState("id-2", 4, 4))
    look = topics._look

    def noting() -> TopicState:
        seen.append(topics.reasons())
        return look()

    monkeypatch.setattr(topics, "_look", noting)
    with pytest.raises(LogReplaced):
        asyncio.run(topics.watch(lambda: 4))
    assert seen == [[], ["events is gone"], ["events is gone"], ["events is gone"], []]
