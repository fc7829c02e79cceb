"""The join where it has to live: without a broker, on the embedded one, with a live clock, under signals."""

from __future__ import annotations

import signal
import time
import urllib.request
from itertools import islice
from pathlib import Path

import pytest

from event_schemas.codec import Codec
from event_schemas.experiment import load_experiment
from event_schemas.registry import Registry
from producers.topics.topic_admin import create_topics, touch_topics
from tests.components.experiment_sample import HOMEFEED
from tests.components.free_port import free_port
from tests.components.homefeed_log import HomefeedLog
from tests.components.join_bench import JoinBench
from tests.components.kafka_broker import KafkaBroker
from trimtab.embedded_runtime import embedded_runtime

CODEC = Codec(Registry.bundled())
LIVE = HOMEFEED.replace('"30m"', '"2s"').replace('"10m"', '"1s"').replace('lateness = "5m"', 'lateness = "1s"')
LIVE = LIVE.replace('producer_delay = "1m"', 'producer_delay = "1s"').replace('"replay"', '"live"')


@pytest.mark.parametrize("command", [("join",), ("reconcile",), ("dead-letters", "list")])
def test_an_unreachable_broker_is_an_error_with_a_fix(
    command: tuple[str, ...], experiment_file: Path, tmp_path: Path
) -> None:
    bench = JoinBench(f"127.0.0.1:{free_port()}", "nowhere.", experiment_file, tmp_path)
    began = time.monotonic()
    done = bench.run(*command)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-2].startswith("error: ")
    assert done.stderr.splitlines()[-1].startswith("fix: ")
    assert "Traceback" not in done.stderr
    assert time.monotonic() - began < 25


def test_missing_topics_are_an_error_with_a_fix(join_bench: JoinBench) -> None:
    join_bench.prefix = "absent."
    done = join_bench.run("join")
    assert done.returncode == 3, "a restart would only find them missing again"
    assert "trimtab topics create" in done.stderr


def test_joins_on_the_embedded_broker_too(experiment_file: Path, tmp_path: Path) -> None:
    with embedded_runtime(tmp_path / "runtime") as runtime:
        bench = JoinBench(runtime.kafka_bootstrap, "demo.", experiment_file, tmp_path, session_seconds=6.0)
        bench.kafka_identity = runtime.kafka_identity
        touch_topics(bench.client_config, bench.prefix)
        log = HomefeedLog(load_experiment(experiment_file), CODEC, 300)
        bench.send(log.events())
        bench.close_windows(log.heartbeat())
        try:
            bench.start_worker()
            bench.wait_until_processed()
            assert bench.stop_workers() == [0], bench.log()
            done = bench.run("reconcile", "--json")
            assert done.returncode == 0, done.stdout
        finally:
            bench.stop_workers()


def test_a_broker_that_dies_and_returns_costs_nothing(experiment_file: Path, tmp_path: Path) -> None:
    broker = KafkaBroker(tmp_path)
    broker.start()
    bench = JoinBench(broker.bootstrap, "chaos.", experiment_file, tmp_path)
    create_topics(bench.client_config, bench.prefix, 4, 1)
    log = HomefeedLog(load_experiment(experiment_file), CODEC, 600)
    events = log.events()
    try:
        bench.send(islice(events, 1_000))
        worker = bench.start_worker()
        bench.wait_until_processed()
        broker.kill()
        time.sleep(2)
        broker.start()
        bench.send(events)
        bench.close_windows(log.heartbeat())
        bench.wait_until_processed()
        done = bench.run("reconcile", "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        assert worker.poll() is None, bench.log()

        broker.kill()
        time.sleep(1)
        began = time.monotonic()
        assert bench.stop_workers() == [0], bench.log()
        assert time.monotonic() - began < 20, "a broker that is away does not hold up the end"
    finally:
        bench.stop_workers(signal.SIGKILL)
        broker.stop()


def test_a_live_clock_closes_decisions_when_traffic_stops(join_bench: JoinBench) -> None:
    join_bench.experiment_file.write_text(LIVE, encoding="utf-8")
    log = HomefeedLog(load_experiment(join_bench.experiment_file), CODEC, 0)
    join_bench.send(log.bare_decision("r1", int(time.time() * 1000)))
    join_bench.start_worker()
    deadline = time.monotonic() + 60
    while not join_bench.records("examples"):
        assert time.monotonic() < deadline, join_bench.log()
        time.sleep(0.5)
    (example,) = join_bench.decoded("examples")
    assert example["request"]["request_id"] == "r1"
    assert [outcome["reward"] for outcome in example["outcome"]["objectives"]] == [0.0, 0.0]
    heartbeats = [event for event in join_bench.records("events") if event.key is None]
    assert heartbeats, "written by the worker itself"
    assert join_bench.stop_workers() == [0], join_bench.log()


def test_metrics_tell_fates_lag_and_watermark(join_bench: JoinBench) -> None:
    log = HomefeedLog(load_experiment(join_bench.experiment_file), CODEC, 100)
    sent = join_bench.send(log.events())
    join_bench.close_windows(log.heartbeat())
    port = free_port()
    join_bench.start_worker("--metrics-port", str(port))
    join_bench.wait_until_processed()
    time.sleep(1.5)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as page:
        lines = page.read().decode().splitlines()
    values = {line.split()[0]: float(line.split()[1]) for line in lines if line.startswith("trimtab_join")}
    events = [value for name, value in values.items() if name.startswith("trimtab_join_events_total")]
    assert sum(events) == sent + 4
    assert values["trimtab_join_examples_total"] > 0
    for partition in range(4):
        assert values[f'trimtab_join_processed_lag{{partition="{partition}"}}'] == 0
        assert values[f'trimtab_join_pending_requests{{partition="{partition}"}}'] == 0
        assert values[f'trimtab_join_watermark_timestamp_seconds{{partition="{partition}"}}'] == log.end / 1000
    assert join_bench.stop_workers() == [0], join_bench.log()
