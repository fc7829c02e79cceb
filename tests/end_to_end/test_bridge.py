"""The bridge on a real broker: killed at any moment, it loses nothing, and the join counts everything once."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections import Counter, defaultdict
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from event_schemas.codec import Codec
from event_schemas.experiment import Experiment, load_experiment
from event_schemas.registry import Registry
from event_schemas.slices import can_be_logged
from tests.components.company_topics import (
    ACTIONS,
    SAVE_SCHEMA,
    SAVES,
    SECTIONS,
    CompanyTopics,
    SourceProducer,
    SourceRow,
    create_source,
)
from tests.components.homefeed_log import SPACING_MS, START, HomefeedLog
from tests.components.join_bench import COMMAND, JoinBench

CODEC = Codec(Registry.bundled())
DECISIONS = 1_500
ATTRIBUTION = {"repin": 30 * 60_000, "click": 10 * 60_000}
CLIP = {"repin": 1.0, "click": 2.0}
OBJECTIVE = {"repin": "repin", "click": "click", "long_click": "click"}
Place = tuple[str, int, int]


@pytest.fixture
def bench(join_bench: JoinBench) -> JoinBench:
    """A join whose windows stay open until they are closed, and two source topics that are bridged into it."""
    text = join_bench.experiment_file.read_text(encoding="utf-8")
    text = text.replace("exploration_rate = 0.0125", "exploration_rate = 0.3").replace('"5m"', '"3h"', 1)
    names = [(topic, f"{join_bench.prefix}{topic}") for topic in (ACTIONS, SAVES)]
    sections = SECTIONS
    for plain, prefixed in names:
        sections = sections.replace(f'"{plain}"', f'"{prefixed}"')
    join_bench.experiment_file.write_text(text + sections, encoding="utf-8")
    (join_bench.experiment_file.parent / "save.avsc").write_text(json.dumps(SAVE_SCHEMA), encoding="utf-8")
    create_source(join_bench.bootstrap, *(prefixed for _, prefixed in names))
    return join_bench


def test_a_bridge_that_is_killed_loses_nothing_and_counts_nothing_twice(bench: JoinBench) -> None:
    experiment = load_experiment(bench.experiment_file)
    times = {f"q-{number}": START + number * SPACING_MS for number in range(DECISIONS)}
    logged = {request_id for request_id in times if _logged(experiment, request_id)}
    log = HomefeedLog(experiment, CODEC, DECISIONS)
    bench.send(
        event
        for request_id in times
        if request_id in logged
        for event in log.bare_decision(request_id, times[request_id])
    )

    source, rows = SourceProducer(bench.bootstrap), list(_prefixed(bench, CompanyTopics(times)))
    left, kills = iter(rows), 0
    for _ in range(3):
        source.send(list(islice(left, len(rows) // 4)))
        kills += _kill_in_the_middle(bench)
    source.send(list(left))
    summary = _run_to_end(bench)
    assert kills == 3

    expected = _fates(source.places, logged)
    _assert_every_record_has_its_one_fate(bench, source.places, expected, summary)

    bench.close_windows(log.heartbeat())
    bench.start_worker()
    bench.wait_until_processed()
    assert bench.stop_workers() == [0], bench.log()
    report = json.loads(bench.run("reconcile", "--json").stdout)
    assert report["ok"], report["differences"]
    assert report["examples_found"] == len(logged)
    assert _rewards(bench) == _expected_rewards(source.places, expected, times, logged)


def test_a_bridge_waits_for_more_until_it_is_told_to_end(bench: JoinBench) -> None:
    source, row = SourceProducer(bench.bootstrap), SourceRow(f"{bench.prefix}{ACTIONS}", None, b"garbage")
    source.send([row])
    running = _start(bench, "--json")
    _wait_for(lambda: len(bench.records("dead-letters")) == 1, running)
    source.send([row, row])
    _wait_for(lambda: len(bench.records("dead-letters")) == 3, running)
    running.send_signal(signal.SIGTERM)
    output, _ = running.communicate(timeout=30)
    assert running.returncode == 0
    assert json.loads(output)["fates"] == {"bridged": 0, "unsampled": 0, "ignored": 0, "dead_letter": 3}
    listed = bench.run("dead-letters", "list", "--reason", "malformed").stdout
    assert "value is not JSON" in listed


def _fates(places: dict[Place, SourceRow], logged: set[str]) -> dict[Place, str]:
    fates = {}
    for place, row in places.items():
        if row.request_id is None:
            fates[place] = "dead_letter"
        elif row.request_id not in logged:
            fates[place] = "unsampled"
        else:
            fates[place] = "ignored" if row.kind is None else "bridged"
    return fates


def _assert_every_record_has_its_one_fate(
    bench: JoinBench, places: dict[Place, SourceRow], expected: dict[Place, str], summary: dict[str, Any]
) -> None:
    counts: Counter[str] = Counter()
    for partitions in summary["committed"].values():
        for committed in partitions.values():
            counts.update({fate: number for fate, number in committed.items() if fate != "next_offset"})
    assert counts == Counter(expected.values())
    assert min(counts.values()) > 20
    assert counts.total() == len(places)

    written = [CODEC.decode(record.value) for record in bench.records("events")]
    engagements = [event.record for event in written if event.name == "Engagement"]
    found = {(e["engagement_id"], e["request_id"], e["kind"], e["event_time"]) for e in engagements}
    due = {_engagement(place, row) for place, row in places.items() if expected[place] == "bridged"}
    assert found == due
    assert len(engagements) >= counts["bridged"]
    for record in bench.records("events"):
        assert record.key == CODEC.decode(record.value).record["request_id"].encode()

    letters = {(d["topic"], d["partition"], d["offset"]): d for d in bench.decoded("dead-letters")}
    assert letters.keys() == {place for place, fate in expected.items() if fate == "dead_letter"}
    for place, letter in letters.items():
        assert (letter["key"], letter["value"]) == (places[place].key, places[place].value)


def _expected_rewards(
    places: dict[Place, SourceRow], fates: dict[Place, str], times: dict[str, int], logged: set[str]
) -> dict[str, dict[str, float]]:
    counted: dict[tuple[str, str], set[str]] = defaultdict(set)
    for place, row in places.items():
        if fates[place] != "bridged":
            continue
        engagement_id, request_id, kind, event_time = _engagement(place, row)
        objective = OBJECTIVE[kind]
        if 0 <= event_time - times[request_id] <= ATTRIBUTION[objective]:
            counted[request_id, objective].add(engagement_id)
    return {
        request_id: {name: min(float(len(counted[request_id, name])), clip) for name, clip in CLIP.items()}
        for request_id in logged
    }


def _engagement(place: Place, row: SourceRow) -> tuple[str, str, str, int]:
    topic, partition, offset = place
    assert row.request_id and row.kind
    return row.own_id or f"{topic}/{partition}/{offset}", row.request_id, row.kind, row.event_time


def _rewards(bench: JoinBench) -> dict[str, dict[str, float]]:
    return {
        example["request"]["request_id"]: {o["objective"]: o["reward"] for o in example["outcome"]["objectives"]}
        for example in bench.decoded("examples")
    }


def _logged(experiment: Experiment, request_id: str) -> bool:
    rates = experiment.experiment
    return can_be_logged(
        rates.salt,
        request_id,
        exploration_rate=rates.exploration_rate,
        control_rate=rates.control_rate,
        log_rate=rates.log_rate,
    )


def _prefixed(bench: JoinBench, company: CompanyTopics) -> list[SourceRow]:
    return [
        SourceRow(f"{bench.prefix}{r.topic}", r.key, r.value, r.request_id, r.kind, r.event_time, r.own_id)
        for r in company.rows()
    ]


def _start(bench: JoinBench, *options: str) -> subprocess.Popen[str]:
    with _log_file(bench).open("ab") as log:
        command = [*COMMAND, "bridge", "--session-seconds", "1", *options]
        return subprocess.Popen(command, env=bench.environment(), stdout=subprocess.PIPE, stderr=log, text=True)


def _kill_in_the_middle(bench: JoinBench) -> int:
    """Start a bridge and kill it once it has begun to write; 1 when it was a kill that ended it."""
    before = _written(bench)
    running = _start(bench)
    _wait_for(lambda: _written(bench) > before, running)
    running.kill()
    running.communicate(timeout=10)
    return int(running.returncode == -signal.SIGKILL)


def _run_to_end(bench: JoinBench) -> dict[str, Any]:
    running = _start(bench, "--until-end", "--json")
    output, _ = running.communicate(timeout=60)
    assert running.returncode == 0, _log_file(bench).read_text()
    summary: dict[str, Any] = json.loads(output)
    return summary


def _written(bench: JoinBench) -> int:
    return sum(span.end for topic in ("events", "dead-letters") for span in bench.reader(topic).ranges().values())


def _wait_for(condition: Any, running: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 40
    while not condition():
        assert running.poll() is None, "the bridge ended by itself"
        assert time.monotonic() < deadline, "no progress in 40 s"
        time.sleep(0.02)


def _log_file(bench: JoinBench) -> Path:
    return bench.directory / "bridge.log"
