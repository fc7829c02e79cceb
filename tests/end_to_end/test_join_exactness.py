"""The join on a real broker: one example for each complete decision, whatever happens to the workers."""

from __future__ import annotations

import json
import signal
import time
from itertools import islice
from typing import Any

import pytest

from event_schemas.codec import Codec
from event_schemas.experiment import load_experiment
from event_schemas.registry import Registry
from tests.components.homefeed_log import HomefeedLog, SentEvent
from tests.components.join_bench import JoinBench

CODEC = Codec(Registry.bundled())


def _log(bench: JoinBench, decisions: int) -> HomefeedLog:
    return HomefeedLog(load_experiment(bench.experiment_file), CODEC, decisions)


def _reconcile(bench: JoinBench, *options: str) -> dict[str, Any]:
    done = bench.run("reconcile", "--json", *options)
    assert done.stdout, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (0 if report["ok"] else 1)
    return report


def _assert_exact(report: dict[str, Any]) -> None:
    wrong = ("lost", "unexpected", "differing", "dead_letters_missing", "dead_letters_extra", "dead_letters_differing")
    assert {name: report[name] for name in wrong} == dict.fromkeys(wrong, 0), report["differences"]
    assert report["ok"]
    assert report["examples_found"] == report["examples_expected"] > 0


def test_a_normal_run_is_exact_and_a_restart_writes_nothing_twice(join_bench: JoinBench) -> None:
    log = _log(join_bench, 800)
    sent = join_bench.send(log.events())
    join_bench.close_windows(log.heartbeat())
    join_bench.start_worker()
    join_bench.wait_until_processed()
    assert join_bench.stop_workers() == [0], join_bench.log()

    report = _reconcile(join_bench)
    _assert_exact(report)
    assert report["inputs"] == sent + 4 == sum(report["fates"].values())
    assert report["pending"] == report["unprocessed"] == 0
    assert report["duplicated"] == report["dead_letters_repeated"] == 0
    for fate in ("joined", "duplicate", "conflict", "outside", "orphan", "incomplete", "malformed"):
        assert report["fates"][fate] > 0, fate

    before = len(join_bench.records("examples"))
    join_bench.start_worker()
    join_bench.send([SentEvent(0, b"late", b"garbage")])
    join_bench.wait_until_processed()
    assert join_bench.stop_workers(signal.SIGINT) == [0], join_bench.log()
    assert len(join_bench.records("examples")) == before
    assert _reconcile(join_bench)["fates"]["malformed"] == report["fates"]["malformed"] + 1


def test_killed_workers_lose_nothing_and_change_nothing(join_bench: JoinBench) -> None:
    log = _log(join_bench, 2_000)
    events = log.events()
    kills = 0
    for _ in range(3):
        join_bench.send(islice(events, 1_500))
        worker = join_bench.start_worker()
        _wait_for_examples_or_commit(join_bench)
        worker.kill()
        kills += worker.wait(10) == -signal.SIGKILL
    join_bench.send(events)
    join_bench.close_windows(log.heartbeat())
    join_bench.start_worker()
    join_bench.wait_until_processed()
    committed = join_bench.reader("events").committed(f"{join_bench.prefix}join")
    assert join_bench.stop_workers()[-1] == 0, join_bench.log()

    assert kills == 3
    _assert_exact(_reconcile(join_bench))
    assert any("settled=" in line and "settled= " not in line for line in join_bench.log().splitlines()), (
        "a restart took up a commit"
    )
    for partition, span in join_bench.reader("events").ranges().items():
        assert committed[partition].settled == span.end
        assert committed[partition].rebuild_from <= committed[partition].open_from <= span.end
        assert committed[partition].watermark is not None


def test_workers_that_come_and_go_share_the_partitions(join_bench: JoinBench) -> None:
    log = _log(join_bench, 2_000)
    events = log.events()
    first = join_bench.start_worker()
    join_bench.send(islice(events, 2_000))
    _wait_for_examples_or_commit(join_bench)
    join_bench.start_worker()
    join_bench.send(islice(events, 2_000))
    time.sleep(3)
    first.send_signal(signal.SIGTERM)
    join_bench.send(events)
    join_bench.close_windows(log.heartbeat())
    join_bench.wait_until_processed()
    assert join_bench.stop_workers() == [0, 0], join_bench.log()
    _assert_exact(_reconcile(join_bench))


def test_poison_ends_as_dead_letters(join_bench: JoinBench) -> None:
    log = _log(join_bench, 50)
    poison = [
        SentEvent(0, b"r1", b""),
        SentEvent(0, b"r2", b"\x00\x00\x00\x00\x63 no such schema"),
        SentEvent(0, None, CODEC.encode("Request", _request("no-key"))),
        SentEvent(0, b"other", CODEC.encode("Request", _request("mis-keyed"))),
        SentEvent(0, b"large", b"\x00\x00\x00\x00\x01" + b"\xff" * 900_000),
    ]
    join_bench.send(islice(log.events(), 100))
    join_bench.send(poison)
    join_bench.close_windows(log.heartbeat())
    join_bench.start_worker()
    join_bench.wait_until_processed()
    assert join_bench.stop_workers() == [0], join_bench.log()

    listed = join_bench.run("dead-letters", "list", "--reason", "malformed", "--json")
    letters = [json.loads(line) for line in listed.stdout.splitlines()]
    by_key = {letter["key"] and bytes.fromhex(letter["key"]): letter for letter in letters}
    for event in poison[:4]:
        assert bytes.fromhex(by_key[event.key]["value"]) == event.value
    assert by_key[b"large"]["value"] is None
    assert "SHA-256" in by_key[b"large"]["detail"]
    _assert_exact(_reconcile(join_bench))

    place = "{partition}:{offset}".format(**by_key[b"other"]["at"])
    shown = json.loads(join_bench.run("dead-letters", "show", place, "--json").stdout)
    assert shown["original"]["request_id"] == "mis-keyed"


def test_reconcile_sees_a_lost_and_an_invented_example(join_bench: JoinBench) -> None:
    log = _log(join_bench, 100)
    join_bench.send(log.events())
    join_bench.close_windows(log.heartbeat())
    report = _reconcile(join_bench)
    assert report["lost"] == report["examples_expected"] > 0
    assert report["unprocessed"] == report["inputs"]
    assert not report["ok"]
    nothing = _reconcile(join_bench, "--processed")
    assert nothing["ok"]
    assert nothing["inputs"] == 0


@pytest.mark.parametrize("option", ["--from", "--to"])
def test_reconcile_names_a_bad_range(join_bench: JoinBench, option: str) -> None:
    done = join_bench.run("reconcile", option, "9=1")
    assert done.returncode == 1
    assert "there is no partition 9" in done.stderr
    assert "fix: partitions are 0 to 3" in done.stderr


def _request(request_id: str) -> dict[str, Any]:
    return {
        "request_id": request_id,
        "event_time": 1_700_000_000_000,
        "user_id": None,
        "session_id": None,
        "cohort": None,
        "user_embedding": [],
        "context": [],
        "history": [],
    }


def _wait_for_examples_or_commit(bench: JoinBench) -> None:
    """Until a worker is in the middle of its work."""
    seen = dict(bench.processed())
    examples = sum(span.end for span in bench.reader("examples").ranges().values())
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        moved = sum(span.end for span in bench.reader("examples").ranges().values()) > examples
        if moved or dict(bench.processed()) != seen:
            return
        time.sleep(0.1)
    raise AssertionError(f"no progress in 40 s; log:\n{bench.log()}")
