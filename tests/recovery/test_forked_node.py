"""A node that was started before a fork: parent and children decide, log and obey; nothing is lost or sent twice."""

from __future__ import annotations

import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from policy_store.backends.redis_store import RedisStore
from policy_store.records.channel_record import Channel
from tests.components.embedded_log import read_all
from tests.components.forked_node import ForkOrder
from tests.components.kafka_broker import KafkaBroker
from tests.serving_samples import (
    GOVERNANCE_KEY,
    LEARNER_KEY,
    StoreDesk,
    codec,
    preferring,
    serving_experiment,
)

CHILDREN = ("exits", "raises", "worker")


def eventually(condition: Callable[[], bool], process: subprocess.Popen[bytes], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "the parent ended too early"
        assert time.monotonic() < deadline, f"not reached in {seconds} s"
        time.sleep(0.05)


def records(kafka: KafkaBroker, topic: str) -> Counter[tuple[str, str]]:
    """How often each record came, by type and request."""
    reader = codec()
    decoded = [reader.decode(message.value()) for message in read_all(kafka.bootstrap, topic)]
    return Counter((each.name, str(each.record.get("request_id"))) for each in decoded)


def test_parent_and_children_log_everything_once(
    kafka: KafkaBroker, redis_url: str, topics: Callable[..., str], tmp_path: Path
) -> None:
    experiment, prefix = serving_experiment(), topics()
    desk = StoreDesk(experiment, RedisStore(redis_url, experiment.name), now=time.time_ns() // 1_000_000)
    desk.publish("v1", preferring(experiment, repin=2))
    desk.point(Channel.STABLE, "v1")
    trusted = f"{LEARNER_KEY.public_text()},{GOVERNANCE_KEY.public_text()}"
    order = ForkOrder(kafka.bootstrap, prefix, redis_url, str(tmp_path), trusted)

    def told(name: str, fact: str) -> Any:
        return (order.report(name) or {}).get(fact)

    with subprocess.Popen(order.command()) as process:
        try:
            eventually(lambda: all(told(name, "served") for name in CHILDREN), process)
            order.kill_file.touch()
            eventually(lambda: bool(told("parent", "statuses")), process)
            assert process.wait(30) == 0
        finally:
            process.kill()
    assert told("parent", "statuses") == {"exits": 0, "raises": 1, "idle": 0, "worker": 0}
    for name in CHILDREN:
        assert told(name, "first") in (["forked"], ["v1"]), "a policy at once, or for a moment none"
        assert told(name, "served") == ["v1"] * order.decisions
        assert told(name, "killed")
        assert told(name, "heartbeat") == f"n1.{told(name, 'pid')}"
    logged = records(kafka, f"{prefix}events")
    batches = {"before": 20, "after": 20} | {f"busy-{n}": 1 for n in range(told("parent", "busy"))}
    for name in CHILDREN:
        batches |= {f"{name}-first": 1, name: 20, f"{name}-last": 20}
    ids = [f"{batch}-{number}" for batch, size in batches.items() for number in range(size)]
    expected = {(record, id_) for id_ in ids for record in ("Request", "Action", "Propensity", "Engagement")}
    assert {found for found in logged if not found[1].isalnum()} == expected
    assert set(logged.values()) == {1}
