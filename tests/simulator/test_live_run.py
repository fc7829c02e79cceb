"""A run through the real agent and loggers into a log in memory."""

import numpy as np
import pytest

from event_schemas.codec import Codec
from event_schemas.experiment import load_experiment
from event_schemas.registry import Registry
from event_schemas.units import DAY_MS
from producers.delivery.memory_log import MemoryLog
from simulator.easy_world import STRIDE_MS
from simulator.homefeed_world import RunPlan, build_world, with_exploration_rate
from simulator.live_run import LiveRun, LiveRunReport
from simulator.local_serving import LocalServing, local_serving
from tests.simulator_samples import HOMEFEED

START = 1_700_000_000_000
EXPERIMENT = with_exploration_rate(load_experiment(HOMEFEED), 0.9)
CODEC = Codec(Registry.bundled())


def settle(serving: LocalServing) -> None:
    serving.flush()


@pytest.fixture(scope="module")
def lived() -> tuple[LiveRunReport, list[tuple[str, dict[str, object]]]]:
    """A report, and the log's records by name in the order they were written (one partition)."""
    log = MemoryLog(partitions=1)
    world, traffic = build_world(EXPERIMENT, RunPlan(7, 400, START, START + DAY_MS, users=200))
    serving = local_serving(EXPERIMENT, CODEC, log, "trimtab.events", lambda: START)
    run = LiveRun(EXPERIMENT, world, [serving.agent], serving.engagements, lambda _: settle(serving))
    report = run.run(traffic)
    serving.close()
    decoded = [CODEC.decode(record.value) for record in log.records("trimtab.events")]
    return report, [(each.name, dict(each.record)) for each in decoded]


def test_every_decision_is_logged_whole(
    lived: tuple[LiveRunReport, list[tuple[str, dict[str, object]]]],
) -> None:
    report, records = lived
    ids = {
        name: [record["request_id"] for kind, record in records if kind == name]
        for name in ("Request", "Action", "Propensity", "Ranking")
    }
    assert all(len(found) == len(set(found)) == report.decisions == 400 for found in ids.values())
    engagements = [record for kind, record in records if kind == "Engagement"]
    assert len(engagements) == report.engagements > 100
    assert {record["request_id"] for record in engagements} <= set(ids["Request"])


def test_event_time_runs_back_by_no_more_than_a_stride(
    lived: tuple[LiveRunReport, list[tuple[str, dict[str, object]]]],
) -> None:
    times = np.array([record["event_time"] for _, record in lived[1]], dtype=np.int64)
    assert (np.maximum.accumulate(times) - times).max() <= STRIDE_MS
    assert times.max() == lived[0].last_event_time


def test_the_report_tells_slices_weights_and_truth(
    lived: tuple[LiveRunReport, list[tuple[str, dict[str, object]]]],
) -> None:
    report = lived[0]
    assert sum(report.slices.values()) == 400 and report.slices["EXPLORE"] > 320
    assert report.mean_weights["FALLBACK"] == pytest.approx({"repin": 91.6, "p2p": 9.1})
    assert report.as_dict()["true_lift"] == report.true_lift()
    assert set(report.true_value) == {"repin", "p2p"}
