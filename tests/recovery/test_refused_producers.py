"""Processes that Kafka lets start and does not let write: they say so, and deliver everything once they may."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]
from prometheus_client import CollectorRegistry

from event_schemas.codec import Codec
from event_schemas.decision_key import DecisionKey
from event_schemas.errors import ComponentUnreachable
from event_schemas.log_record import LogRecord
from event_schemas.registry import Registry
from learner.examples.example_decoder import BadExample
from learner.examples.ingest import DeadLetters
from monitoring.metrics import ProducerMetrics
from producers.delivery.delivery_spool import DeliverySpool
from producers.delivery.kafka_delivery import ClientSetting, KafkaDelivery
from producers.delivery.outgoing_event import OutgoingEvent
from producers.replay.replay_run import ReplayIncomplete, replay_rows
from producers.topics.topic_admin import create_topics
from stream_processors.audit.offline_join import OfflineExample
from stream_processors.audit.replayed_examples import ReplayedExamples, ReplayUnconfirmed
from tests.components.experiment_sample import BRIDGED_SOURCE, HOMEFEED
from tests.components.join_bench import COMMAND
from tests.components.secured_broker import ADMIN, SecuredBroker
from tests.producers.replay.test_replay_run import prepare
from tests.producers.replay_samples import row

CODEC = Codec(Registry.bundled())


@pytest.fixture
def secured(secured_kafka: SecuredBroker, request: pytest.FixtureRequest) -> Iterator[tuple[SecuredBroker, str]]:
    """The broker, and a prefix of this test's own under which its topics are; nobody has a right to them."""
    prefix = re.sub(r"\W", ".", request.node.name)[:60] + "."
    create_topics(secured_kafka.client_config(ADMIN), prefix, 2, 1)
    yield secured_kafka, prefix
    for user in ("serving", "join", "learner", "bridge"):
        secured_kafka.revoke_all(user)


def eventually(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not reached in {seconds} s"
        time.sleep(0.05)


def records_in(broker: SecuredBroker, topic: str) -> int:
    consumer = Consumer({**broker.client_config(ADMIN), "group.id": "count"})
    try:
        ends = [consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=10)[1] for number in range(2)]
        return sum(ends)
    finally:
        consumer.close()


def environment(broker: SecuredBroker, user: str, prefix: str, folder: Path, experiment: str) -> dict[str, str]:
    (folder / "trimtab.toml").write_text(experiment, encoding="utf-8")
    return {
        **os.environ,
        **broker.environment(user),
        "TRIMTAB_TOPIC_PREFIX": prefix,
        "TRIMTAB_EXPERIMENT": str(folder / "trimtab.toml"),
        "TRIMTAB_DATA_DIR": str(folder / "var"),
        "TRIMTAB_REDIS_URL": "redis://127.0.0.1:1/0",
    }


@contextmanager
def sidecar(variables: dict[str, str]) -> Iterator[httpx.Client]:
    command = [*COMMAND, "serve", "--port", "0", "--node-id", "n1"]
    with subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            told = next(found for line in process.stderr if (found := re.search(r"serves on (http://\S+)", line)))
            with httpx.Client(base_url=told.group(1), timeout=10.0) as http:
                yield http
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()


def metric(http: httpx.Client, pattern: str) -> float:
    found = re.findall(rf"^{pattern} (\S+)$", http.get("/metrics").text, re.MULTILINE)
    return sum(map(float, found))


def test_a_sidecar_that_may_not_write_is_not_ready_until_it_may(
    secured: tuple[SecuredBroker, str], tmp_path: Path
) -> None:
    """Its client dies, and each that follows it."""
    broker, prefix = secured
    with sidecar(environment(broker, "serving", prefix, tmp_path, HOMEFEED)) as http:
        eventually(lambda: http.post("/v1/engagements", json={"request_id": "r", "kind": "repin"}).status_code == 202)
        eventually(lambda: http.get("/readyz").status_code == 503)
        for number in range(18):
            http.post("/v1/engagements", json={"request_id": f"r{number}", "kind": "repin"})
            time.sleep(0.1)
            unready, health = http.get("/readyz"), http.get("/healthz")
            assert (unready.status_code, health.status_code) == (503, 200)
            assert "Kafka user 'serving' may not Write " in unready.json()["reasons"][0]
            assert "Kafka user 'serving' may not Write " in health.json()["delivery"]
            assert metric(http, "trimtab_producer_delivering") == 0.0
        broker.grant("serving", "WRITE,DESCRIBE", "topic", prefix)
        events = 'trimtab_producer_events_total{fate="%s",record="Engagement"}'
        eventually(lambda: metric(http, events % "resent") + metric(http, events % "acknowledged") == 19.0)
        eventually(lambda: http.get("/readyz").status_code == 200)
        assert metric(http, "trimtab_producer_delivering") == 1.0
        assert http.get("/healthz").json()["delivery"] == "ok"
        assert metric(http, events % "dropped") == 0.0
    assert records_in(broker, f"{prefix}events") >= 19


def test_a_topic_that_is_refused_holds_up_no_other(
    secured: tuple[SecuredBroker, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client lives, for it may write elsewhere; what it may not write fills whole batches out of the spool."""
    monkeypatch.setattr("producers.delivery.resending.RESEND_BATCH", 5)
    broker, prefix = secured
    broker.grant("serving", "WRITE,DESCRIBE", "topic", f"{prefix}events", prefixed=False)
    spool = DeliverySpool(tmp_path)
    for name, count in (("tallies", 23), ("events", 40)):
        for number in range(count):
            spool.append(OutgoingEvent(f"{prefix}{name}", b"k", f"{number}".encode(), name))
    with KafkaDelivery(broker.client_config("serving"), spool=spool, retry_s=0.05) as delivery:
        eventually(lambda: delivery.counts().resent == 40)
        eventually(lambda: delivery.spool_fault is not None)
        eventually(lambda: spool.waiting == 23)
        assert delivery.fault is None, "nobody has handed this process a tally"
        delivery.send(OutgoingEvent(f"{prefix}tallies", b"k", b"23", "tallies"))
        eventually(lambda: "authorization failed" in (delivery.fault or ""))
        eventually(lambda: spool.waiting == 24)
        delivery.send(OutgoingEvent(f"{prefix}events", b"k", b"new", "events"))
        assert delivery.flush(30).acknowledged == 1
        assert delivery.fault is not None, "the other topic is still refused"
        assert delivery.counts().set_aside == 0
        broker.grant("serving", "WRITE,DESCRIBE", "topic", prefix)
        eventually(lambda: spool.waiting == 0)
        eventually(lambda: delivery.fault is None)
    assert records_in(broker, f"{prefix}tallies") == 24


@pytest.mark.parametrize("topic", ["explorations", "absent"])
def test_an_event_that_is_not_essential_makes_nobody_unready(
    secured: tuple[SecuredBroker, str], tmp_path: Path, topic: str
) -> None:
    """As the settings of exploration, whose topic a deployment may not have yet: the event waits in the spool."""
    broker, prefix = secured
    for own in ("events", "absent"):
        broker.grant("serving", "WRITE,DESCRIBE", "topic", prefix + own, prefixed=False)
    spool = DeliverySpool(tmp_path)
    client: dict[str, ClientSetting] = {**broker.client_config("serving"), "topic.metadata.propagation.max.ms": 100}
    with KafkaDelivery(client, spool=spool, retry_s=0.05) as delivery:
        delivery.send(OutgoingEvent(prefix + topic, b"k", b"v", "Exploration", essential=False))
        delivery.send(OutgoingEvent(f"{prefix}events", b"k", b"v", "Request"))
        eventually(lambda: delivery.spool_fault is not None)
        assert (delivery.fault, spool.waiting) == (None, 1)
        assert delivery.flush(30).acknowledged == 1
        broker.grant("serving", "WRITE,DESCRIBE", "topic", prefix)
        if topic == "absent":
            admin = AdminClient(dict(broker.client_config(ADMIN)))
            admin.create_topics([NewTopic(prefix + topic, 2, 1)])[prefix + topic].result()
        eventually(lambda: spool.waiting == 0)
        assert delivery.fault is None
    assert records_in(broker, prefix + topic) == 1


def test_a_right_to_another_topic_makes_nobody_ready(secured: tuple[SecuredBroker, str], tmp_path: Path) -> None:
    """The client dies without any right, and lives with this one; not for a moment is the node ready in between."""
    broker, prefix = secured
    registry = CollectorRegistry()
    spool, faults = DeliverySpool(tmp_path), []
    with KafkaDelivery(
        broker.client_config("serving"), spool=spool, retry_s=0.05, metrics=ProducerMetrics(registry)
    ) as delivery:
        delivery.send(OutgoingEvent(f"{prefix}events", b"k", b"v", "Request"))
        eventually(lambda: delivery.fault is not None and delivery.counts().spooled == 1)
        broker.grant("serving", "WRITE,DESCRIBE", "topic", f"{prefix}tallies", prefixed=False)

        def tally_arrives() -> bool:
            faults.append((delivery.fault, registry.get_sample_value("trimtab_producer_delivering")))
            delivery.send(OutgoingEvent(f"{prefix}tallies", b"k", b"v", "Tally"))
            return delivery.counts().acknowledged > 2 and f"{prefix}events: " in str(delivery.fault)

        eventually(tally_arrives)
        assert not [each for each in faults if each[0] is None or each[1] != 0.0]
        broker.grant("serving", "WRITE,DESCRIBE", "topic", prefix)
        eventually(lambda: delivery.fault is None and spool.empty)


def test_the_learner_s_dead_letters_go_out_in_the_round_after_the_right_came(
    secured: tuple[SecuredBroker, str],
) -> None:
    broker, prefix = secured
    topic = f"{prefix}dead-letters"
    bad = [BadExample(LogRecord("examples", 0, 7, 0, b"k", b"garbage"), "no example", None)]
    with KafkaDelivery(broker.client_config("learner")) as delivery:
        letters = DeadLetters(CODEC, delivery, topic)
        for _ in range(3):
            with pytest.raises(ComponentUnreachable, match="user 'learner' may not Write "):
                letters.send(bad)
            eventually(lambda: delivery.fault is not None)
        broker.grant("learner", "WRITE,DESCRIBE", "topic", topic)

        def sent() -> bool:
            try:
                letters.send(bad)
            except ComponentUnreachable:
                return False
            return True

        eventually(sent)
        eventually(lambda: delivery.fault is None)
    assert records_in(broker, topic) == 1


def test_a_replay_ends_soon_with_the_reason(secured: tuple[SecuredBroker, str], tmp_path: Path) -> None:
    broker, _ = secured
    rows, plan = prepare(tmp_path, [row() for _ in range(2_000)])
    with (
        KafkaDelivery(broker.client_config("serving")) as sender,
        pytest.raises(ReplayIncomplete, match=r"acknowledged by the broker: Kafka user .serving. may not Write "),
    ):
        replay_rows(rows, plan, sender)
    assert sender.counts().handed_in < 4 * 2_000, "it did not go through all rows first"


def test_a_replay_of_dead_letters_ends_with_the_reason(secured: tuple[SecuredBroker, str]) -> None:
    broker, prefix = secured
    example = OfflineExample(DecisionKey("r-1", 5), b"r-1", b"value", 0, 7)
    with ReplayedExamples(broker.client_config("join"), f"{prefix}examples", "id") as examples:
        with pytest.raises(ReplayUnconfirmed, match="user 'join' may not Write topic"):
            examples.write(example, 8)
            examples.confirm()
        assert examples.written == 0


def last_words(process: subprocess.Popen[str]) -> list[str]:
    """What a command that ends by itself, as one that may be tried again, wrote last."""
    _, errors = process.communicate(timeout=90)
    assert process.returncode == 1, errors
    assert "Traceback" not in errors
    return errors.splitlines()[-2:]


def test_a_bridge_and_a_join_that_may_not_write_end_with_the_reason(
    secured: tuple[SecuredBroker, str], tmp_path: Path
) -> None:
    broker, prefix = secured
    admin = AdminClient(dict(broker.client_config(ADMIN)))
    for answer in admin.create_topics([NewTopic(f"{prefix}shop", 1, 1)]).values():
        answer.result()
    experiment, commands = HOMEFEED + BRIDGED_SOURCE.format(topic=f"{prefix}shop"), ("bridge", "join")
    for user in commands:
        broker.grant(user, "READ,DESCRIBE", "topic", prefix)
        broker.grant(user, "READ", "group", prefix)
    processes = [
        subprocess.Popen(
            [*COMMAND, command],
            env=environment(broker, command, prefix, tmp_path, experiment),
            stderr=subprocess.PIPE,
            text=True,
        )
        for command in commands
    ]
    try:
        for user, process, topic in zip(commands, processes, ("events", "examples"), strict=True):
            error, fix = last_words(process)
            assert error == f"error: Kafka user '{user}' may not Write topic {prefix}{topic}"
            assert fix.endswith(f"--allow-principal User:{user} --operation Write --topic {prefix}{topic}")
    finally:
        for process in processes:
            process.kill()
