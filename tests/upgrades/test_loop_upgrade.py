"""The loop of today goes on from the log, the commits, the spool and the segments of every released version."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

from event_schemas import records as r
from event_schemas.codec import Codec
from event_schemas.experiment import load_experiment
from event_schemas.registry import Registry
from learner.checkpoints.checkpoint import learner_directory
from learner.examples.stored_files import EXAMPLES_FOLDER, stored_examples
from producers.delivery.delivery_spool import DeliverySpool
from producers.delivery.kafka_delivery import KafkaDelivery
from producers.loggers.heartbeats import send_heartbeats
from stream_processors.audit.log_reader import LogReader
from tests.upgrades.conftest import Restored
from tests.upgrades.frozen_traffic import DAY, FIRST, visits

WAIT_SECONDS = 60.0


def test_spool_bridge_join_and_learner_go_on_without_losing_or_doubling_anything(restored: Restored) -> None:
    facts, bootstrap = restored.frozen.facts, {"bootstrap.servers": restored.bootstrap}
    decisions = facts["decisions_logged"] + facts["decisions_spooled"]

    _send_the_spool(restored, facts["node"])
    bridged = json.loads(restored.trimtab("bridge", "--until-end", "--json").stdout)
    _join_to_the_end(restored)

    source = facts["records"][f"{restored.frozen.prefix}actions"]
    counts = [part for parts in bridged["committed"].values() for part in parts.values()]
    assert sum(part["next_offset"] for part in counts) == source
    assert sum(part["bridged"] + part["dead_letter"] for part in counts) == source
    assert bridged["records"] < source / 4  # the rest was bridged by the old version
    report = json.loads(restored.trimtab("reconcile", "--json").stdout)
    assert report["ok"] and report["pending"] == 0

    examples = list(LogReader(bootstrap, f"{restored.frozen.prefix}examples").read_all())
    keys = {record.key for record in examples}
    assert len(keys) == decisions
    before = stored_examples(_segments(restored))
    learnt = restored.trimtab("learn", "--once", "--no-publish")
    for said in ("segments of an older version taken over", "offsets of an older version taken over"):
        assert learnt.stderr.count(said) == 1
    after = stored_examples(_segments(restored))
    assert 0 < before.height < after.height == decisions
    assert after["request_request_id"].n_unique() == decisions


def _send_the_spool(restored: Restored, node: str) -> None:
    """Today's delivery opens the spool and sends all of it, byte for byte what was spooled."""
    experiment = load_experiment(restored.frozen.experiment_file)
    spool = DeliverySpool(restored.machine / "serving" / experiment.name / node / "spool")
    waiting = spool.waiting
    assert waiting >= 3 * restored.frozen.facts["decisions_spooled"]
    events = f"{restored.frozen.prefix}events"
    reader = LogReader({"bootstrap.servers": restored.bootstrap}, events)
    ends = reader.ranges()
    with KafkaDelivery({"bootstrap.servers": restored.bootstrap}, spool=spool) as delivery:
        deadline = time.monotonic() + WAIT_SECONDS
        while spool.waiting:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert delivery.counts().resent == waiting
    codec = Codec(Registry.bundled())
    sent = [record for record in reader.read_all() if record.offset >= ends[record.partition].end]
    requests = {
        decoded.record["request_id"] for record in sent if (decoded := codec.decode(record.value)).name == r.REQUEST
    }
    assert requests == {visit.request.request_id for visit in visits(12, 4, FIRST + round(21.9 * DAY), 0.2 * DAY)}


def _join_to_the_end(restored: Restored) -> None:
    """Today's join takes over the old commits, and a heartbeat closes every window."""
    codec, events = Codec(Registry.bundled()), f"{restored.frozen.prefix}events"
    reader = LogReader({"bootstrap.servers": restored.bootstrap}, events)
    log = restored.machine / "join.log"
    with log.open("wb") as output:
        worker = subprocess.Popen(
            [sys.executable, "-m", "trimtab", "join"], env=restored.environment, stdout=output, stderr=output
        )
        try:
            with KafkaDelivery({"bootstrap.servers": restored.bootstrap}) as sender:
                send_heartbeats(sender, codec, events, reader.partitions, FIRST + 30 * DAY)
            _wait_until_processed(reader, f"{restored.frozen.prefix}join", log)
        finally:
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(60) == 0, log.read_text(encoding="utf-8")


def _wait_until_processed(reader: LogReader, group: str, log: Path) -> None:
    ends = {number: span.end for number, span in reader.ranges().items()}
    deadline = time.monotonic() + WAIT_SECONDS
    while any(at.settled < ends[number] for number, at in reader.committed(group).items()):
        assert time.monotonic() < deadline, log.read_text(encoding="utf-8")
        time.sleep(0.3)


def _segments(restored: Restored) -> Path:
    experiment = load_experiment(restored.frozen.experiment_file)
    return learner_directory(restored.machine, experiment) / EXAMPLES_FOLDER
