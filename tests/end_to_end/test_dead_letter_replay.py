"""A worker runs with a wrong experiment file; after the fix a replay of its dead letters gives every example."""

from __future__ import annotations

import json
from typing import Any

from event_schemas import records as r
from event_schemas.codec import Codec
from event_schemas.experiment import load_experiment
from event_schemas.registry import Registry
from tests.components.experiment_sample import HOMEFEED
from tests.components.homefeed_log import MINUTE, START, HomefeedLog, SentEvent, repin
from tests.components.join_bench import JoinBench

CODEC = Codec(Registry.bundled())
FAULTY = HOMEFEED.replace("high = 200", "high = 210")
DECISIONS = 40


def test_a_fixed_experiment_file_gives_every_example_once(join_bench: JoinBench) -> None:
    log = HomefeedLog(load_experiment(join_bench.experiment_file), CODEC, DECISIONS)
    join_bench.experiment_file.write_text(FAULTY, encoding="utf-8")
    join_bench.send(_traffic(log))
    join_bench.start_worker()
    join_bench.close_windows(log.heartbeat())
    join_bench.wait_until_processed()
    join_bench.send(event for event in log.bare_decision("straggler", START) if _is(event, r.PROPENSITY))
    join_bench.wait_until_processed()
    assert join_bench.stop_workers() == [0], join_bench.log()
    assert join_bench.records("examples") == []

    join_bench.experiment_file.write_text(HOMEFEED, encoding="utf-8")
    later = log.end + MINUTE
    join_bench.start_worker()
    join_bench.send(event for number in range(9) for event in log.bare_decision(f"later{number}", later))
    join_bench.close_windows(CODEC.encode(r.HEARTBEAT, {"event_time": later + 60 * MINUTE}))
    join_bench.wait_until_processed()
    assert len(join_bench.records("examples")) == 9

    rehearsal = _replay(join_bench, "--dry-run")
    assert (rehearsal["dry_run"], rehearsal["writable"], rehearsal["written"]) == (True, DECISIONS + 1, 0)
    assert len(join_bench.records("examples")) == 9

    one = _replay(join_bench, "--request-id", "decision0", "--reason", "malformed")
    assert (one["decisions"], one["written"]) == (1, 1)
    done = _replay(join_bench)
    assert (done["written"], done["exists"], done["open"], done["remaining"]) == (DECISIONS, 1, 0, {})
    examples = {example["request"]["request_id"]: example for example in join_bench.decoded("examples")}
    assert len(examples) == len(join_bench.records("examples")) == DECISIONS + 10
    assert examples["decision7"]["outcome"]["objectives"][0]["reward"] == 1.0
    assert examples["straggler"]["outcome"]["objectives"][0]["reward"] == 0.0
    _assert_in_the_partition_of_its_request(join_bench)

    again = _replay(join_bench)
    assert (again["written"], again["exists"]) == (0, DECISIONS + 1)
    assert len(join_bench.records("examples")) == DECISIONS + 10
    report = json.loads(join_bench.run("reconcile", "--json").stdout)
    assert report["ok"], report["differences"]
    assert (report["replayed"], report["lost"], report["unexpected"]) == (DECISIONS + 1, 0, 0)
    assert report["dead_letters_mended"] >= 3 * DECISIONS
    assert join_bench.stop_workers() == [0], join_bench.log()


def _traffic(log: HomefeedLog) -> list[SentEvent]:
    """Decisions with a repin each, and one whose propensity does not come in time."""
    events = [event for number in range(DECISIONS) for event in log.bare_decision(f"decision{number}", START + number)]
    events += [repin(f"decision{number}", CODEC) for number in range(DECISIONS)]
    return events + [event for event in log.bare_decision("straggler", START) if not _is(event, r.PROPENSITY)]


def _is(event: SentEvent, name: str) -> bool:
    return CODEC.decode(event.value).name == name


def _replay(bench: JoinBench, *options: str) -> dict[str, Any]:
    done = bench.run("dead-letters", "replay", "--json", *options)
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


def _assert_in_the_partition_of_its_request(bench: JoinBench) -> None:
    requests = {
        record.key: (record.partition, record.offset)
        for record in bench.records("events")
        if record.key and CODEC.decode(record.value).name == r.REQUEST
    }
    for record in bench.records("examples"):
        outcome = CODEC.decode(record.value).record["outcome"]
        assert (outcome["partition"], outcome["offset"]) == requests[record.key or b""]
        assert record.partition == outcome["partition"]
