"""Ids that are used again: every use is an example or ends in counted letters, and readers keep all examples."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from event_schemas import records as r
from event_schemas.codec import Codec
from event_schemas.decision_key import DecisionKey
from event_schemas.experiment import load_experiment
from event_schemas.registry import Registry
from learner.examples.example_decoder import ExampleDecoder
from learner.examples.segment_store import SegmentStore
from tests.components.homefeed_log import MINUTE, START, HomefeedLog, SentEvent
from tests.components.join_bench import JoinBench

CODEC = Codec(Registry.bundled())
PAUSES = {"half": 0.5, "little": 1.2, "long": 3.0}
"""After how many windows an id is used again."""
IDS = 40
NEEDED = (r.REQUEST, r.ACTION, r.PROPENSITY)


def uses_of(log: HomefeedLog, window: int) -> list[tuple[DecisionKey, list[SentEvent]]]:
    """Two uses of every id, with all their parts; the first of every third id has a late engagement."""
    found = []
    for name, windows in PAUSES.items():
        for number in range(IDS):
            request_id, first = f"{name}-{number}", START + number * 1_000
            events = log.bare_decision(request_id, first)
            if number % 3 == 0:
                events.append(_engagement(request_id, first + window // 2))
            found.append((DecisionKey(request_id, first), events))
            second = first + round(windows * window)
            found.append((DecisionKey(request_id, second), log.bare_decision(request_id, second)))
    return found


def test_every_use_is_an_example_or_counted_letters_and_a_copy_that_differs_is_found(
    join_bench: JoinBench, tmp_path: Path
) -> None:
    experiment = load_experiment(join_bench.experiment_file)
    log = HomefeedLog(experiment, CODEC, 0)
    uses = uses_of(log, experiment.window_ms)
    filling = [event for minute in range(200) for event in log.bare_decision(f"fill-{minute}", START + minute * MINUTE)]
    events = [event for _, parts in uses for event in parts]
    join_bench.send(sorted([*events, *filling], key=lambda event: event.time))
    join_bench.start_worker()
    join_bench.wait_until_processed()
    join_bench.close_windows(CODEC.encode(r.HEARTBEAT, {"event_time": START + 400 * MINUTE}))
    join_bench.wait_until_processed()
    join_bench.stop_workers()

    examples = Counter(DecisionKey.of_example(example) for example in join_bench.decoded("examples"))
    assert set(examples.values()) == {1}
    letters = [letter for letter in join_bench.decoded("dead-letters") if letter["event_time"] is not None]
    lost = {(DecisionKey(letter["request_id"], letter["event_time"]), letter["reason"]) for letter in letters}
    for decision, _ in uses:
        reasons = {reason for key, reason in lost if key == decision}
        assert reasons in ({"conflict"}, {"orphan"}) if decision not in examples else reasons <= {"orphan"}
    fates = Counter(next(iter({reason for key, reason in lost if key == decision}), "example") for decision, _ in uses)
    assert fates["conflict"] == IDS  # half a window later the first decision is open
    assert fates["orphan"] == len(range(0, IDS, 3))  # a little more than a window later some are still remembered
    report = join_bench.run("reconcile", "--json")
    assert report.returncode == 0, report.stdout + report.stderr
    assert json.loads(report.stdout)["duplicated"] == 0

    with SegmentStore(tmp_path / "segments", "examples", 10**12) as store:
        chunk = ExampleDecoder(CODEC, experiment.action_space).decode(join_bench.records("examples"))
        counts = store.append(chunk.frame, {})
        assert (counts.stored, counts.duplicate) == (len(examples), 0)
        assert store.append(chunk.frame, {}).duplicate == len(examples)

    copy = join_bench.records("examples")[0]
    example = CODEC.decode(copy.value).record
    example["outcome"]["objectives"][0]["count"] += 1.0
    join_bench.send([SentEvent(0, copy.key, CODEC.encode(r.EXAMPLE, example))], copy.partition, "examples")
    report = join_bench.run("reconcile", "--json")
    found = json.loads(report.stdout)
    assert (report.returncode, found["duplicated"], found["duplicated_differing"]) == (1, 1, 1)


def test_a_use_that_the_join_began_less_than_a_window_later_is_replayed(join_bench: JoinBench) -> None:
    """The first use was forgotten early, so the second is a decision; its propensity comes too late for the join."""
    experiment = load_experiment(join_bench.experiment_file)
    log, window = HomefeedLog(experiment, CODEC, 0), experiment.window_ms

    def at(windows: float) -> int:
        return START + round(windows * window)

    request, action, propensity = log.bare_decision("used", at(0.6))
    whole = log.bare_decision("whole", at(0.6))
    join_bench.send(
        [
            *log.bare_decision("used", at(0)),
            *log.bare_decision("whole", at(0)),
            *log.bare_decision("fill-1", at(1.1)),
            *[request, action, *whole],
            *log.bare_decision("fill-2", at(2)),
            *[propensity, *log.bare_decision("fill-3", at(4))],
        ],
        partition=0,
    )
    join_bench.close_windows(CODEC.encode(r.HEARTBEAT, {"event_time": at(6)}))
    join_bench.start_worker()
    join_bench.wait_until_processed()
    join_bench.stop_workers()

    uses = {DecisionKey(name, at(when)) for name in ("used", "whole") for when in (0, 0.6)}
    lost = DecisionKey("used", at(0.6))
    assert examples_of(join_bench, "used", "whole") == Counter(uses - {lost})
    for written in (1, 0):
        replay = join_bench.run("dead-letters", "replay", "--json")
        assert json.loads(replay.stdout)["written"] == written, replay.stdout + replay.stderr
        assert examples_of(join_bench, "used", "whole") == Counter(uses)
    report = join_bench.run("reconcile", "--json")
    assert report.returncode == 0, report.stdout + report.stderr


def examples_of(bench: JoinBench, *ids: str) -> Counter[DecisionKey]:
    found = map(DecisionKey.of_example, bench.decoded("examples"))
    return Counter(decision for decision in found if decision.request_id in ids)


def _engagement(request_id: str, time: int) -> SentEvent:
    record = {
        "engagement_id": f"e-{request_id}",
        "request_id": request_id,
        "event_time": time,
        "kind": "repin",
        "item_id": None,
        "value": 1.0,
    }
    return SentEvent(time, request_id.encode(), CODEC.encode(r.ENGAGEMENT, record))
