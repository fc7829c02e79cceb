"""The benchmark's broker serves what was written, and leaves nothing behind."""

from __future__ import annotations

import os

import pytest
from confluent_kafka import Consumer, TopicPartition

from benchmarks.bench_broker import running_broker, tell
from benchmarks.event_stream import StreamSettings

pytestmark = pytest.mark.join_benchmarks

REQUESTS = 200


def test_a_private_broker_holds_the_stream_and_is_gone_at_the_end() -> None:
    with running_broker() as broker:
        log = broker.write("bench.", StreamSettings(requests=REQUESTS))
        consumer = Consumer({"bootstrap.servers": broker.bootstrap, "group.id": "counter"})
        spans = [
            consumer.get_watermark_offsets(TopicPartition("bench.events", partition), timeout=10)
            for partition in range(4)
        ]
        consumer.close()
        assert sum(end - start for start, end in spans) == log.events > REQUESTS
        assert broker.pid is not None
        os.kill(broker.pid, 0)
    assert not broker.directory.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(broker.pid, 0)


def test_progress_is_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    tell("writing")
    assert capsys.readouterr() == ("", "writing\n")
