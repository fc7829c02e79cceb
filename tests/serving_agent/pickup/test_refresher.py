"""The snapshot follows the store, survives its outage, and every refusal is reported."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog

from policy_store.records.channel_record import Channel
from serving_agent.decide.fallback_reason import FallbackReason
from serving_agent.pickup.snapshot_disk import FILE_NAME, SnapshotDisk
from tests.serving_agent.refresher_bench import Bench, FlakyStore
from tests.serving_samples import DAY_MS, NOW, StoreDesk, preferring, serving_experiment, sketch_of

STEADY = {"ranker_heads": {"repin": sketch_of(np.full(500, 0.2))}}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, serving_experiment())
    yield made
    for refresher in made.opened:
        refresher.close()


def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> float:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "did not happen in time"
        time.sleep(0.01)
    return time.monotonic() - began


def test_takes_what_the_store_says(bench: Bench) -> None:
    bench.publish("v1")
    bench.publish("v2", Channel.SHADOW)
    bench.desk.alpha(0.3)
    refresher = bench.refresher(bench.registry)
    assert refresher.poll()
    snapshot = refresher.holder.current
    assert snapshot.versions() == {"stable": "v1", "shadow": "v2"}
    assert snapshot.preference.revision == bench.desk.now + 1
    value = bench.registry.get_sample_value
    assert value("trimtab_serving_policy_info", {"version": "v1", "channel": "stable"}) == 1
    assert value("trimtab_serving_config_revision") == bench.desk.now + 1
    bench.publish("v3")
    refresher.poll()
    assert value("trimtab_serving_policy_info", {"version": "v1", "channel": "stable"}) is None
    assert value("trimtab_serving_policy_info", {"version": "v3", "channel": "stable"}) == 1
    assert value("trimtab_serving_pickups_total", {"channel": "stable", "result": "accepted"}) == 2
    bench.now += 90_000
    refresher.poll()
    assert value("trimtab_serving_policy_age_seconds") == pytest.approx(90, abs=0.1)


def test_notifications_beat_the_poll(tmp_path: Path) -> None:
    bench = Bench(tmp_path, serving_experiment(serving={"poll": "60s"}))
    refresher = bench.refresher()
    refresher.start()
    try:
        bench.publish("v1")
        assert eventually(lambda: refresher.holder.current.stable is not None) < 5.0
        bench.desk.kill()
        assert eventually(lambda: refresher.holder.current.killed) < 1.0
    finally:
        refresher.close()


def test_lost_notifications_are_made_up_for_by_the_poll(bench: Bench) -> None:
    refresher = bench.refresher()
    refresher._last_update = "999999999-0"
    refresher.start()
    bench.publish("v1")
    eventually(lambda: refresher.holder.current.stable is not None)


def test_a_dead_store_keeps_the_last_good_snapshot(bench: Bench) -> None:
    bench.publish("v1")
    refresher = bench.refresher()
    refresher.start()
    assert refresher.holder.current.versions() == {"stable": "v1"}
    bench.store.cut = True
    assert not refresher.poll()
    assert refresher.holder.current.versions() == {"stable": "v1"}
    assert "does not answer" in refresher.report().store
    bench.publish("v2")
    bench.store.cut = False
    eventually(lambda: refresher.holder.current.versions() == {"stable": "v2"})


def test_starts_from_disk_when_the_store_is_dead(bench: Bench) -> None:
    bench.publish("v1")
    bench.desk.alpha(0.3)
    bench.desk.kill()
    bench.refresher().poll()
    bench.store.cut = True
    again = bench.refresher()
    again.start()
    assert again.holder.current.versions() == {"stable": "v1"}
    assert again.holder.current.killed
    assert again.holder.current.preference.revision == bench.desk.now + 1


def test_how_the_store_is_found_is_told_at_once_and_when_it_changes(bench: Bench) -> None:
    for cut in (False, True):
        with structlog.testing.capture_logs() as lines:
            bench.store.cut = cut
            refresher = bench.refresher()
            for now_cut in (cut, cut, not cut, not cut):
                bench.store.cut = now_cut
                refresher.poll()
        told = [(line["log_level"], line["state"]) for line in lines if line["event"] == "policy store"]
        ill, well = ("warning", "Redis does not answer | fix: start Redis"), ("info", "ok")
        assert told == ([ill, well] if cut else [well, ill])


def test_a_refused_checkpoint_does_not_reach_the_disk(bench: Bench) -> None:
    bench.publish("v1")
    refresher = bench.refresher()
    refresher.poll()
    bench.desk.now += 1
    bench.desk.publish("v2", b"broken")
    bench.desk.point(Channel.STABLE, "v2")
    refresher.poll()
    saved = SnapshotDisk(bench.folder).load()
    assert saved is not None
    assert saved.channels["stable"].checkpoint.parsed().version == "v1"


def test_a_damaged_disk_is_reported_and_stops_the_node_until_the_store_answers(bench: Bench) -> None:
    """The saved kills cannot be read, and must not be overwritten by a memory without kills."""
    (bench.folder / FILE_NAME).write_text("{")
    bench.store.cut = True
    for _ in range(2):
        refresher = bench.refresher()
        refresher.start()
        assert refresher.holder.current.versions() == {}
        assert refresher.holder.current.killed
        assert "cannot be read" in refresher.report().disk
        refresher.close()
    bench.store.cut = False
    refresher.poll()
    assert not refresher.holder.current.killed
    assert refresher.report().disk == "ok"
    bench.store.cut = True
    again = bench.refresher()
    again.start()
    assert not again.holder.current.killed


def test_a_node_remembers_a_kill_whatever_else_on_its_disk_is_damaged(bench: Bench) -> None:
    bench.publish("v1")
    bench.desk.kill()
    bench.refresher().poll()
    bench.store.cut = True
    sound = {file: file.read_bytes() for file in bench.folder.iterdir()}
    for file, content in sound.items():
        for damaged in (b"", content[: len(content) // 2], content[:-9] + b"\0" + content[-8:]):
            file.write_bytes(damaged)
            again = bench.refresher()
            again.start()
            assert again.holder.current.killed
            assert again._kills.open_kills, "it is known, not only feared"
            again.close()
            file.write_bytes(content)


def test_revisions_survive_a_restart(bench: Bench) -> None:
    bench.publish("v1")
    bench.publish("v2")
    bench.refresher().poll()
    bench.store = FlakyStore(bench.experiment.name)
    bench.desk = StoreDesk(bench.experiment, bench.store, now=NOW - DAY_MS)
    bench.publish("v1")
    again = bench.refresher()
    again.start()
    assert again.holder.current.versions() == {"stable": "v2"}
    assert "was seen before" in again.report().channels["stable"]["notes"][0]


def test_live_drift_puts_production_in_place_until_it_is_over(bench: Bench) -> None:
    bench.publish("v1", reference=STEADY)
    refresher = bench.refresher()
    refresher.poll()
    assert refresher.holder.current.withheld is None
    bench.heads(0.9)
    bench.publish("v2", reference=STEADY)
    refresher.poll()
    assert refresher.holder.current.withheld is FallbackReason.DRIFT
    [entry] = [e.content for e in bench.store.audit_entries() if e.content["action"] == "refuse checkpoint"]
    assert (entry["actor"], entry["detail"]["result"]) == ("node n1", "live_drift")
    [node] = bench.store.nodes()
    assert node.status["withheld"] == "drift"
    bench.publish("v3", reference={"ranker_heads": {"repin": sketch_of(np.full(500, 0.9))}})
    refresher.poll()
    assert refresher.holder.current.withheld is None
    assert refresher.holder.current.versions() == {"stable": "v3"}


def test_a_decision_about_stable_ends_an_older_canary(bench: Bench) -> None:
    bench.publish("v1")
    bench.publish("v2", Channel.CANARY)
    refresher = bench.refresher()
    refresher.poll()
    assert refresher.holder.current.versions() == {"stable": "v1", "canary": "v2"}
    bench.desk.now += 1
    bench.desk.point(Channel.STABLE, "v2")
    refresher.poll()
    assert refresher.holder.current.versions() == {"stable": "v2"}


def test_stale_falls_back_only_where_asked(bench: Bench, tmp_path: Path) -> None:
    strict = Bench(tmp_path / "strict", serving_experiment(serving={"on_stale": "fallback"}))
    for each, expected in ((bench, None), (strict, FallbackReason.STALE)):
        each.publish("v1")
        refresher = each.refresher()
        refresher.poll()
        each.now = NOW + 3 * DAY_MS
        refresher.poll()
        assert refresher.holder.current.withheld is expected
        assert refresher.report().channels["stable"]["stale"]
        refresher.close()


def test_heartbeats_tell_what_a_node_serves(bench: Bench) -> None:
    bench.publish("v1")
    refresher = bench.refresher()
    refresher.poll()
    [node] = bench.store.nodes()
    assert node.node_id == "n1"
    assert node.status["versions"] == {"stable": "v1"}
    assert node.status["decisions"] == {"EXPLORE": 3}
    assert node.status["channels"]["stable"]["result"] == "accepted"


def test_a_node_that_may_only_read_serves_all_the_same(bench: Bench) -> None:
    bench.store.read_only = True
    bench.publish("v1")
    refresher = bench.refresher()
    assert refresher.poll()
    bench.desk.publish("bad", b"broken")
    bench.desk.now += 1
    bench.desk.point(Channel.STABLE, "bad")
    assert refresher.poll()
    assert refresher.holder.current.versions() == {"stable": "v1"}


def test_a_full_disk_does_not_stop_serving(bench: Bench) -> None:
    (bench.folder / FILE_NAME).with_suffix(".draft").mkdir()
    bench.publish("v1")
    refresher = bench.refresher()
    refresher.poll()
    assert refresher.holder.current.versions() == {"stable": "v1"}
    assert refresher.report().disk != "ok"


def test_a_fault_nobody_declared_stops_neither_the_others_nor_the_thread(bench: Bench) -> None:
    class Odd(FlakyStore):
        def channel(self, name: str) -> Any:
            if name == "stable":
                raise ZeroDivisionError("odd")
            return super().channel(name)

        def updates_since(self, last_id: str, block_ms: int = 0) -> Any:
            raise KeyError("slot")

    bench.store = Odd(bench.experiment.name)
    bench.desk = StoreDesk(bench.experiment, bench.store)
    bench.desk.publish("v1", preferring(bench.experiment, repin=2))
    refresher = bench.refresher()
    refresher.start()
    assert refresher.report().store != "ok"
    bench.desk.point(Channel.SHADOW, "v1")
    eventually(lambda: refresher.holder.current.versions() == {"shadow": "v1"})
    bench.desk.kill()
    eventually(lambda: refresher.holder.current.killed)


def test_a_clock_that_was_set_back_does_not_silence_a_node(bench: Bench) -> None:
    refresher = bench.refresher()
    refresher.poll()
    bench.now -= DAY_MS
    refresher.poll()
    [node] = bench.store.nodes()
    assert node.status["at"] == NOW - DAY_MS


def test_a_canary_that_stable_has_overtaken_withholds_nothing(bench: Bench) -> None:
    bench.heads(0.9)
    bench.publish("v1", Channel.CANARY, reference=STEADY)
    refresher = bench.refresher()
    refresher.poll()
    assert refresher.holder.current.withheld is FallbackReason.DRIFT
    bench.publish("v2", reference={"ranker_heads": {"repin": sketch_of(np.full(500, 0.9))}})
    refresher.poll()
    assert refresher.holder.current.withheld is None
    assert refresher.holder.current.versions() == {"stable": "v2"}


def test_a_log_that_cannot_be_written_does_not_end_the_thread(bench: Bench) -> None:
    refresher = bench.refresher()
    refresher.start()
    closed = (bench.folder / "log").open("w", encoding="utf-8")
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(closed))
    closed.close()
    try:
        bench.publish("v1")
        eventually(lambda: "closed file" in refresher.store_state or refresher.holder.current.stable is not None)
        bench.desk.kill()
        eventually(lambda: refresher.holder.current.killed)
    finally:
        structlog.reset_defaults()
    assert refresher.holder.current.versions() == {"stable": "v1"}
