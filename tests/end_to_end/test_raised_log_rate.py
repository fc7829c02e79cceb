"""A log rate that a node raises, on a real broker: the bridge keeps what such a node may have logged, and no more."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest
from confluent_kafka import Producer

from event_schemas.codec import Codec
from event_schemas.experiment import Experiment, load_experiment
from event_schemas.registry import Registry
from event_schemas.slices import coin
from event_schemas.units import MINUTE_MS
from producers.delivery.memory_log import MemoryLog
from producers.loggers import DecisionLogger, ExplorationPlan
from producers.loggers.exploration_notice import RAISED_EVERY_MS
from tests.components.company_topics import create_source
from tests.components.experiment_sample import BRIDGED_SOURCE
from tests.components.homefeed_log import SentEvent
from tests.components.join_bench import JoinBench
from tests.record_samples import REQUEST

CODEC = Codec(Registry.bundled())
RAISED = 0.2
SOURCE = "company.actions"


@pytest.fixture
def bench(join_bench: JoinBench) -> JoinBench:
    section = BRIDGED_SOURCE.format(topic=f"{join_bench.prefix}{SOURCE}").replace("sampled = false", "")
    text = join_bench.experiment_file.read_text(encoding="utf-8")
    join_bench.experiment_file.write_text(text + section, encoding="utf-8")
    create_source(join_bench.bootstrap, f"{join_bench.prefix}{SOURCE}", partitions=1)
    return join_bench


def test_the_bridge_keeps_what_a_raised_rate_may_have_logged(bench: JoinBench) -> None:
    experiment = load_experiment(bench.experiment_file)
    kept, more, never = (_request(experiment, *bounds) for bounds in ((0.0, 0.01), (0.01, RAISED), (RAISED, 1.0)))
    now = time.time_ns() // 1_000_000
    last = now + experiment.window_ms + 3 * MINUTE_MS
    times = (now - 60 * MINUTE_MS, now, last - MINUTE_MS, last + MINUTE_MS)
    sent = {(request_id, at) for request_id in (kept, more, never) for at in times}
    assert _bridged(bench, sent) == {(kept, at) for at in times}, "nothing was announced"

    bench.send([SentEvent(0, b"x", b"garbage")], topic="explorations")
    logger = DecisionLogger(CODEC, log := MemoryLog(), "events")
    raised = experiment.exploration.with_log_rate(RAISED)
    for settings in (experiment.exploration, raised, replace(raised, salt="other", log_rate=0.9)):
        logger.tell_exploration(ExplorationPlan("explorations", settings, RAISED_EVERY_MS))
    logger.log_request(REQUEST)  # type: ignore[arg-type]
    logger.close()
    records = log.records("explorations")
    assert bench.send((SentEvent(0, each.key, each.value or b"") for each in records), topic="explorations") == 3
    passed = _bridged(bench, sent)
    assert passed == {(kept, at) for at in times} | {(more, at) for at in times[:3]}, "compaction keeps no start"


def _request(experiment: Experiment, least: float, below: float) -> str:
    """A request that neither explores nor is in the control slice, whose coin `log` is between these."""
    rates = experiment.experiment
    return next(
        request_id
        for request_id in (f"q-{number}" for number in range(10_000))
        if coin(rates.salt, "explore", request_id) >= rates.exploration_rate
        and least <= coin(rates.salt, "log", request_id) < below
    )


def _bridged(bench: JoinBench, sent: set[tuple[str, int]]) -> set[tuple[str, int]]:
    """Of engagements with these requests at these times (ms), those that pass."""
    producer = Producer({"bootstrap.servers": bench.bootstrap})
    for request_id, at in sorted(sent):
        producer.produce(f"{bench.prefix}{SOURCE}", b"{}", request_id, timestamp=at)
    assert producer.flush(30) == 0
    before = {(record.partition, record.offset) for record in bench.records("events")}
    ended = bench.run("bridge", "--until-end", "--json")
    assert ended.returncode == 0, ended.stderr
    fresh = (record for record in bench.records("events") if (record.partition, record.offset) not in before)
    found = [CODEC.decode(record.value).record for record in fresh]
    fates = json.loads(ended.stdout)["fates"]
    assert (fates["bridged"], fates["unsampled"]) == (len(found), len(sent) - len(found))
    return {(each["request_id"], each["event_time"]) for each in found}
