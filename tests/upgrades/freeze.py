"""Freezes what the present version writes: `python -m tests.upgrades.freeze VERSION`.

Run it once, on the commit that is released, and never again for that version: the point of a set is that no later code
wrote it. It starts a real broker and a real Redis, sends three weeks of traffic through serving, join, bridge, learner
and policy store, and leaves each of them in the middle of something.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import redis
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from event_schemas.codec import Codec
from event_schemas.experiment import load_experiment
from event_schemas.registry import Registry
from policy_store.backends.redis_store import RedisStore
from policy_store.records.signing import Role, SigningKey, TrustedKeys, write_key_pair
from producers.delivery.delivery_spool import DeliverySpool
from producers.delivery.kafka_delivery import KafkaDelivery
from producers.loggers.heartbeats import send_heartbeats
from serving_agent.node import NodeConnections, ServingNode, ServingNodeConfig, build_node
from stream_processors.audit.log_reader import LogReader
from tests.components.free_port import free_port
from tests.components.kafka_broker import KafkaBroker
from tests.components.redis_server import RedisServer
from tests.upgrades.frozen_set import SOURCE_TOPIC, FrozenSet
from tests.upgrades.frozen_traffic import DAY, EXPERIMENT, FIRST, Visit, company_actions, visits

PARTITIONS = 4
NODE = "node-a"
HEADS = {"repin": {"count": 100, "mean": 0.2, "p10": 0.1, "p50": 0.2, "p90": 0.3}}
LOCKS = ("lock", "writer.lock")


@dataclass(frozen=True)
class Freezing:
    """The running components, and the set that is being written."""

    frozen: FrozenSet
    bootstrap: str
    redis_url: str

    @property
    def machine(self) -> Path:
        return self.frozen.folder / "machine"

    def trimtab(self, *arguments: str, key: str = "learner") -> str:
        """Run a `trimtab` command to its end; what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "trimtab", *arguments],
            env=self._environment(key),
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        return done.stdout

    @contextmanager
    def joining(self) -> Iterator[None]:
        """A join worker, which has processed everything and committed when the context ends."""
        worker = subprocess.Popen([sys.executable, "-m", "trimtab", "join"], env=self._environment("learner"))
        try:
            yield
            reader = LogReader({"bootstrap.servers": self.bootstrap}, f"{self.frozen.prefix}events")
            ends = {number: span.end for number, span in reader.ranges().items()}
            while any(_settled(reader, self.frozen).get(number, 0) < end for number, end in ends.items()):
                time.sleep(0.3)
        finally:
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(60) == 0

    @contextmanager
    def node(self, bootstrap: str, **client: int) -> Iterator[ServingNode]:
        """The node of this set, with its events going to `bootstrap`."""
        experiment = load_experiment(self.frozen.experiment_file)
        folder = self.machine / "serving" / experiment.name / NODE
        config = ServingNodeConfig(
            experiment, TrustedKeys.parse(self.frozen.trusted_keys()), NODE, self.frozen.prefix, folder
        )
        settings: dict[str, Any] = {"bootstrap.servers": bootstrap, "log_level": 0, **client}
        delivery = KafkaDelivery(settings, spool=DeliverySpool(folder / "spool"), retry_s=0.3)
        store = RedisStore(self.redis_url, experiment.name)
        node = build_node(config, NodeConnections(store, delivery, Codec(Registry.bundled())))
        node.start()
        yield node
        node.close(30.0)
        counts = delivery.close(2.0)
        store.close()
        assert counts.dropped == counts.in_flight == 0, counts

    def heartbeat(self, event_time: int) -> None:
        """Close what is a window older than `event_time`."""
        with KafkaDelivery({"bootstrap.servers": self.bootstrap}) as sender:
            topic = f"{self.frozen.prefix}events"
            send_heartbeats(sender, Codec(Registry.bundled()), topic, PARTITIONS, event_time)

    def _environment(self, key: str) -> dict[str, str]:
        ours = self.frozen.environment(self.bootstrap, self.redis_url, self.machine)
        return {**os.environ, **ours, "TRIMTAB_SIGNING_KEY": self.frozen.key(key)}


def freeze(version: str) -> None:
    """Write the set of `version`; raises FileExistsError when there is one."""
    frozen = FrozenSet(version)
    for folder in ("keys", "topics", "machine"):
        (frozen.folder / folder).mkdir(parents=True)
    frozen.experiment_file.write_text(EXPERIMENT.format(source=f"{frozen.prefix}{SOURCE_TOPIC}"), encoding="utf-8")
    write_key_pair(SigningKey.generate(Role.LEARNER, "frozen"), frozen.folder / "keys" / "learner")
    write_key_pair(SigningKey.generate(Role.GOVERNANCE, "frozen"), frozen.folder / "keys" / "board")
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("kafka", "redis"):
            (Path(scratch) / name).mkdir()
        broker, store = KafkaBroker(Path(scratch) / "kafka"), RedisServer(Path(scratch) / "redis")
        broker.start()
        store.start()
        try:
            facts = _write(Freezing(frozen, broker.bootstrap, store.url))
            redis.Redis.from_url(store.url).save()
            shutil.copy(Path(scratch) / "redis" / "dump.rdb", frozen.folder / "redis.rdb")
        finally:
            store.stop()
            broker.stop()
    for name in LOCKS:
        for lock in frozen.folder.rglob(name):
            lock.unlink()
    (frozen.folder / "facts.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def _write(at: Freezing) -> dict[str, Any]:
    """All the writing; the facts of it."""
    frozen = at.frozen
    at.trimtab("topics", "create", "--partitions", str(PARTITIONS))
    _create_source(at)
    weeks, night, morning = list(visits(420, 1)), _later(30, 2, 0.0), _later(24, 3, 0.2)
    with at.node(at.bootstrap) as node:
        _serve(node, weeks)
    _send_source(at, weeks)
    at.trimtab("bridge", "--until-end")
    with at.joining():
        at.heartbeat(FIRST + round(21 * DAY))
    first = json.loads(at.trimtab("learn", "--once", "--json"))["version"]
    with at.node(at.bootstrap) as node, at.joining():
        _serve(node, night)
    second = json.loads(at.trimtab("learn", "--once", "--json"))["version"]
    _govern(at, first)
    with at.node(at.bootstrap) as node, at.joining():  # these examples no learner has read
        assert node.snapshot.stable is not None
        _serve(node, morning[:12])
    with at.node(at.bootstrap) as node:  # and these events no join
        _serve(node, morning[12:])
    _send_source(at, morning)  # nor these the bridge
    spooled = _spool(at)
    frozen.save_groups(at.bootstrap)
    return {
        "written_by": version_and_commit(frozen.version),
        "partitions": dict.fromkeys(frozen.topics, PARTITIONS),
        "records": frozen.save_topics(at.bootstrap),
        "decisions_logged": len(weeks) + len(night) + len(morning),
        "decisions_spooled": spooled,
        "checkpoints": [first, second],
        "stable": first,
        "node": NODE,
    }


def _later(count: int, seed: int, after_days: float) -> list[Visit]:
    return list(visits(count, seed, FIRST + round((21.5 + after_days) * DAY), 0.2 * DAY))


def _serve(node: ServingNode, visited: list[Visit], flush_s: float = 5.0) -> None:
    """One visit after the other is in the log: weeks pass in a second, and nothing may come a window too late."""
    for visit in visited:
        decision = node.decide(visit.request)
        decision.applied(heads=HEADS)
        node.decisions.flush(flush_s)
        for kind, delay in visit.engagements:
            node.engagements.log(decision.request_id, kind, event_time=visit.time + delay)
        node.engagements.flush(flush_s)


def _spool(at: Freezing) -> int:
    """Decisions while the broker is away: some are spooled and being sent again, some have just been spooled."""
    away, visited = f"127.0.0.1:{free_port()}", _later(12, 4, 0.4)
    with at.node(away, **{"delivery.timeout.ms": 1000, "message.timeout.ms": 1000}) as node:
        _serve(node, visited[:6], 0.1)
        time.sleep(4.0)
        _serve(node, visited[6:], 0.1)
    return len(visited)


def _govern(at: Freezing, version: str) -> None:
    """What people decide: a promotion, a preference, a stop and its end, and a proposal that stays open."""
    said = ("--by", "ada", "--reason", "frozen")
    at.trimtab("policy", "promote", version, "--to", "canary", "--override-gate", *said, key="board")
    at.trimtab("policy", "promote", version, "--to", "stable", "--override-gate", *said, key="board")
    proposal = json.loads(at.trimtab("alpha", "propose", "0.3", "--json", *said, key="board"))["proposal_id"]
    at.trimtab("alpha", "approve", proposal, *said, key="board")
    at.trimtab("alpha", "propose", "0.5", "--cohort", "CORE", *said, key="board")
    for command in ("kill", "kill", "resume"):
        at.trimtab("policy", command, *said, key="board")


def _create_source(at: Freezing) -> None:
    admin = AdminClient({"bootstrap.servers": at.bootstrap})
    for answer in admin.create_topics([NewTopic(f"{at.frozen.prefix}{SOURCE_TOPIC}", PARTITIONS, 1)]).values():
        answer.result()


def _send_source(at: Freezing, visited: list[Visit]) -> None:
    producer = Producer({"bootstrap.servers": at.bootstrap})
    for number, value in enumerate(company_actions(visited)):
        producer.produce(f"{at.frozen.prefix}{SOURCE_TOPIC}", value, partition=number % PARTITIONS)
    assert producer.flush(30) == 0


def _settled(reader: LogReader, frozen: FrozenSet) -> dict[int, int]:
    return {number: at.settled for number, at in reader.committed(f"{frozen.prefix}join").items()}


def version_and_commit(version: str) -> str:
    """Which code wrote a set, and when."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], check=True, capture_output=True, text=True)
    return f"trimtab {version}, commit {commit.stdout.strip()}, {datetime.now(UTC):%Y-%m-%d}"


if __name__ == "__main__":
    freeze(sys.argv[1])
