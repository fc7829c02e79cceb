"""The worker in this process: it drains, leaves no thread behind, and ends with what a person can fix."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from aiokafka.errors import (
    CorruptRecordException,
    GroupAuthorizationFailedError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    TopicAuthorizationFailedError,
)
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic  # type: ignore[attr-defined]  # public, without __all__
from prometheus_client import CollectorRegistry

from event_schemas.codec import Codec
from event_schemas.errors import ComponentUnreachable, RightMissing
from event_schemas.experiment import load_experiment
from event_schemas.instant import wall_clock_ms
from event_schemas.registry import Registry
from monitoring.metrics import JoinMetrics
from producers.topics.topic_admin import TopicError
from producers.topics.topic_identity import topic_identities
from stream_processors.partition.commit_position import CommitPosition, LogReplaced, LogTruncated
from stream_processors.rule.join_rule import JoinRule
from stream_processors.worker import topic_watch
from stream_processors.worker.example_writer import OutputUnconfirmed
from stream_processors.worker.join_worker import JoinWorkerParts, _fault, run_join_worker
from stream_processors.worker.worker_settings import WorkerSettings
from tests.components.homefeed_log import HomefeedLog
from tests.components.join_bench import JoinBench
from tests.components.kafka_broker import KafkaBroker
from tests.components.started_threads import every_thread_ends
from tests.components.topic_again import create_again

CODEC = Codec(Registry.bundled())


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def parts(experiment_file: Path, kafka: KafkaBroker, registry: CollectorRegistry) -> JoinWorkerParts:
    identities = topic_identities({"bootstrap.servers": kafka.bootstrap})
    rule = JoinRule.from_experiment(load_experiment(experiment_file))
    return JoinWorkerParts(rule, CODEC, JoinMetrics(registry), wall_clock_ms, identities)


@pytest.fixture
def settings(join_bench: JoinBench) -> WorkerSettings:
    return WorkerSettings(
        client_config=join_bench.client_config,
        events=f"{join_bench.prefix}events",
        examples=f"{join_bench.prefix}examples",
        dead_letters=f"{join_bench.prefix}dead-letters",
        group=f"{join_bench.prefix}join",
        live=False,
        producer_delay_ms=0,
        session_seconds=3.0,
    )


@pytest.fixture
def same_threads() -> Iterator[None]:
    """The threads after the test are those before it."""
    with every_thread_ends():
        yield


def _fill(bench: JoinBench, decisions: int) -> None:
    log = HomefeedLog(load_experiment(bench.experiment_file), CODEC, decisions)
    bench.send(log.events())
    bench.close_windows(log.heartbeat())


def _when(condition: Callable[[], bool], act: Callable[[], object]) -> threading.Thread:
    """Act in another thread once the condition holds, after 60 s at the latest."""

    def watch() -> None:
        deadline = time.monotonic() + 60
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.2)
        act()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def test_a_signal_ends_it_with_everything_committed(
    join_bench: JoinBench, settings: WorkerSettings, parts: JoinWorkerParts, same_threads: None
) -> None:
    _fill(join_bench, 200)
    examples = join_bench.reader("examples")
    watcher = _when(
        lambda: any(span.end for span in examples.ranges().values()), lambda: os.kill(os.getpid(), signal.SIGTERM)
    )
    run_join_worker(replace(settings, commit_seconds=30.0), parts)
    watcher.join()
    ends = {partition: span.end for partition, span in join_bench.reader("events").ranges().items()}
    assert join_bench.processed(), "committed at the end, long before the interval"
    assert all(offset <= ends[partition] for partition, offset in join_bench.processed().items())


def test_an_output_that_is_not_confirmed_ends_it_and_is_not_committed_past(
    join_bench: JoinBench, settings: WorkerSettings, parts: JoinWorkerParts, same_threads: None
) -> None:
    log = HomefeedLog(load_experiment(join_bench.experiment_file), CODEC, 50)
    admin = AdminClient({**join_bench.client_config})
    join_bench.send(log.events())

    def break_the_output() -> None:
        admin.delete_topics([settings.examples])[settings.examples].result()
        join_bench.close_windows(log.heartbeat())

    breaker = _when(lambda: bool(join_bench.processed()), break_the_output)
    with pytest.raises(OutputUnconfirmed, match="examples"):
        run_join_worker(replace(settings, delivery_seconds=2.0), parts)
    breaker.join()
    ends = {partition: span.end for partition, span in join_bench.reader("events").ranges().items()}
    assert all(offset < ends[partition] for partition, offset in join_bench.processed().items())

    admin.create_topics([NewTopic(settings.examples, 4, 1)])[settings.examples].result()
    join_bench.start_worker()
    join_bench.wait_until_processed()
    assert join_bench.stop_workers() == [0], join_bench.log()
    assert join_bench.records("examples")


def test_a_log_whose_start_passed_the_commit_ends_it(
    join_bench: JoinBench, settings: WorkerSettings, parts: JoinWorkerParts, same_threads: None
) -> None:
    log = HomefeedLog(load_experiment(join_bench.experiment_file), CODEC, 100)
    join_bench.send(log.events())
    join_bench.start_worker()
    join_bench.wait_until_processed()
    join_bench.stop_workers()
    ends = {p: span.end for p, span in join_bench.reader("events").ranges().items()}
    admin = AdminClient({**join_bench.client_config})
    doomed = [TopicPartition(settings.events, partition, end) for partition, end in ends.items()]
    for answer in admin.delete_records(doomed).values():
        answer.result()
    with pytest.raises(LogTruncated, match="the join must read from"):
        run_join_worker(settings, parts)


def test_output_topics_need_as_many_partitions_as_the_events(
    join_bench: JoinBench, settings: WorkerSettings, parts: JoinWorkerParts
) -> None:
    narrow = f"{join_bench.prefix}narrow"
    admin = AdminClient({**join_bench.client_config})
    admin.create_topics([NewTopic(narrow, 2, 1)])[narrow].result()
    while narrow not in admin.list_topics(timeout=10).topics:
        time.sleep(0.05)
    with pytest.raises(TopicError, match="has only 2 partitions"):
        run_join_worker(replace(settings, dead_letters=narrow), parts)


def test_partitions_that_were_added_are_named_until_they_are_read(
    join_bench: JoinBench,
    settings: WorkerSettings,
    parts: JoinWorkerParts,
    registry: CollectorRegistry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(topic_watch, "LOOK_SECONDS", 0.3)
    told: list[str] = []

    def unread() -> float | None:
        return registry.get_sample_value("trimtab_join_unread_partitions")

    def grow() -> None:
        admin = AdminClient({**join_bench.client_config})
        for answer in admin.create_partitions([NewPartitions(settings.events, 6)]).values():
            answer.result()
        deadline = time.monotonic() + 60
        while unread() != 2 and time.monotonic() < deadline:
            time.sleep(0.1)
        told.extend(parts.health.unready())
        os.kill(os.getpid(), signal.SIGTERM)

    grower = _when(lambda: parts.health.unready() == [], grow)
    run_join_worker(settings, parts)
    grower.join()
    assert any("2 of 6 partitions" in reason and "'Partitions were added'" in reason for reason in told), told
    with pytest.raises(TopicError, match=r"has only 4 partitions.* has 6") as refused:
        run_join_worker(settings, parts)
    assert "'Partitions were added'" in refused.value.fix


def test_offsets_of_a_topic_that_was_deleted_are_refused(
    join_bench: JoinBench, settings: WorkerSettings, parts: JoinWorkerParts
) -> None:
    _fill(join_bench, 20)
    position = CommitPosition(3, 3, 3, None, 0, parts.rule.window_ms, "another-topic")
    consumer = Consumer({**join_bench.client_config, "group.id": settings.group})
    consumer.commit(offsets=[TopicPartition(settings.events, 1, 3, metadata=position.encode())], asynchronous=False)
    consumer.close()
    with pytest.raises(LogReplaced, match="another-topic"):
        run_join_worker(settings, parts)


def test_a_topic_created_again_under_a_running_worker_ends_it(
    join_bench: JoinBench, settings: WorkerSettings, parts: JoinWorkerParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topic_watch, "LOOK_SECONDS", 0.3)
    log = HomefeedLog(load_experiment(join_bench.experiment_file), CODEC, 40)
    join_bench.send(log.events())

    def again() -> None:
        create_again(join_bench.bootstrap, settings.events, 4)
        join_bench.send(HomefeedLog(load_experiment(join_bench.experiment_file), CODEC, 80, seed=9).events())

    recreator = _when(lambda: bool(join_bench.processed()), again)
    with pytest.raises((LogReplaced, LogTruncated)):
        run_join_worker(settings, parts)
    recreator.join()


def test_faults_of_the_consumer_get_a_fix(settings: WorkerSettings) -> None:
    def told(reason: Exception) -> BaseException:
        return _fault(reason, settings)

    assert isinstance(told(OffsetOutOfRangeError("events-0")), LogTruncated)
    assert isinstance(told(CorruptRecordException()), ComponentUnreachable)
    assert isinstance(told(NoOffsetForPartitionError("events-0")), ComponentUnreachable), "a restart seeks anew"
    group, topic = told(GroupAuthorizationFailedError(settings.group)), told(TopicAuthorizationFailedError())
    assert isinstance(group, RightMissing) and f"may not Read group {settings.group}" in group.what
    assert isinstance(topic, RightMissing) and f"may not Read topic {settings.events}" in topic.what
    bug = ZeroDivisionError()
    assert told(bug) is bug, "a bug keeps its traceback"
