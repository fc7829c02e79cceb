"""Progress and output of the join, from offsets and commits; no record is read."""

from __future__ import annotations

from stream_processors.audit import JoinTopics, LogReader
from trimtab.settings import Settings
from trimtab.status.status_facts import LogFacts


def read_log_facts(settings: Settings) -> LogFacts:
    """Raises ComponentUnreachable, RightMissing, TopicError, LogReplaced or CommitUnreadable."""
    client = settings.kafka_client_config()
    topics = JoinTopics.under(client, settings.topic_prefix, settings.topic_identities())
    committed, events = topics.committed(), topics.events.ranges()
    lag = {
        partition: span.end - max(committed[partition].settled if partition in committed else 0, span.start)
        for partition, span in events.items()
    }
    return LogFacts(
        lag=lag,
        workers=_workers(settings, topics.group),
        events=sum(span.end - span.start for span in events.values()),
        examples=_held(topics.examples),
        dead_letters=_held(topics.dead_letters),
        windows=tuple(sorted({position.window_ms for position in committed.values()})),
    )


def _workers(settings: Settings, group: str) -> int | None:
    """Members of the group; None for an embedded broker (one with a declared identity), which cannot report them."""
    from producers.topics import member_count

    return None if settings.kafka_identity is not None else member_count(settings.kafka_client_config(), group)


def _held(reader: LogReader) -> int:
    """Records in the topic, counted by offsets; a gap in the offsets counts as a record."""
    return sum(span.end - span.start for span in reader.ranges().values())
