"""The pace follows what the join has processed, not what it has committed."""

from __future__ import annotations

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from event_schemas.errors import ComponentUnreachable
from producers.replay.replay_pacing import KafkaReaderLag, LagPacer, ReplayStalled, processed_offset
from tests.components.embedded_log import embedded_broker
from tests.components.free_port import free_port


class ScriptedLag:
    """Returns the lags it was given, then the last one forever."""

    def __init__(self, *unread: int) -> None:
        self._unread = list(unread)
        self.asked = 0

    def unread(self) -> int:
        self.asked += 1
        return self._unread.pop(0) if len(self._unread) > 1 else self._unread[0]


class Time:
    """A clock that sleeping advances."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def pacer(lag: ScriptedLag, time: Time, max_bytes: int = 1_000) -> LagPacer:
    return LagPacer(lag, max_bytes, stall_s=5.0, clock=time, sleep=time.sleep)


def test_it_waits_until_the_reader_caught_up() -> None:
    lag, time = ScriptedLag(100, 60, 20), Time()
    pacer(lag, time).wait(sent_bytes=5_000, sent_events=100)  # 50 bytes each: 20 unread are 1,000
    assert lag.asked == 3
    assert time.now == pytest.approx(0.2)


def test_it_does_not_ask_before_it_could_matter() -> None:
    lag, time = ScriptedLag(0), Time()
    patient = pacer(lag, time)
    for sent in (100, 200, 249):
        patient.wait(sent, 10)
    assert lag.asked == 0
    patient.wait(250, 10)
    patient.wait(300, 12)
    assert lag.asked == 1


def test_a_reader_that_stands_still_is_an_error() -> None:
    lag, time = ScriptedLag(500, 400), Time()
    with pytest.raises(ReplayStalled, match="has not advanced for 5 s with 400 records unread") as caught:
        pacer(lag, time).wait(5_000, 100)
    assert "trimtab join" in caught.value.fix


@pytest.mark.parametrize(
    ("committed", "metadata", "expected"),
    [
        (7, "v=1;S=9;R=7;wm=123", 9),
        (7, "S=12", 12),
        (7, "v=1;RS=9", 7),
        (7, "", 7),
        (7, None, 7),
        (-1001, None, -1),
    ],
)
def test_the_processed_offset_is_in_the_commits_metadata(committed: int, metadata: str | None, expected: int) -> None:
    assert processed_offset(committed, metadata) == expected


def test_the_lag_is_that_of_the_most_loaded_partition() -> None:
    with embedded_broker() as bootstrap:
        client = {"bootstrap.servers": bootstrap}
        producer = Producer(client)
        for partition, count in ((0, 5), (1, 8)):
            for _ in range(count):
                producer.produce("events", b"x", partition=partition)
        producer.flush(10)
        lag = KafkaReaderLag(client, "join", "events", partitions=4)
        assert lag.unread() == 8
        reader = Consumer({**client, "group.id": "join"})
        reader.commit(offsets=[TopicPartition("events", 1, 2, "v=1;S=6")], asynchronous=False)
        reader.close()
        assert lag.unread() == 5
        lag.close()


def test_a_broker_that_does_not_answer_is_an_error() -> None:
    lag = KafkaReaderLag({"bootstrap.servers": f"127.0.0.1:{free_port()}"}, "join", "events", 1, answer_s=0.3)
    with pytest.raises(ComponentUnreachable, match=r"does not answer \(Describe group join\)"):
        lag.unread()
    lag.close()
