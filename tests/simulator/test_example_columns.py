"""Columns made of arrays have the learner's types, and texts are those of single requests."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from event_schemas.columnar import empty_frame
from event_schemas.experiment import load_experiment
from event_schemas.records import EXAMPLE
from event_schemas.registry import Registry
from event_schemas.units import DAY_MS
from learner.examples.example_columns import portable
from policy_store.records import ObjectiveWeights
from serving_agent.decide import ServingSnapshot
from simulator.example_columns import ExampleColumns, RankedRequests, RequestTexts, _context
from simulator.vector_agent import VectorAgent, VectorDecisions
from simulator.visible_features import context_of
from tests.simulator_samples import HOMEFEED
from tests.world_samples import START, short_run

EXPERIMENT = load_experiment(HOMEFEED)
AGENT = VectorAgent(EXPERIMENT, ServingSnapshot(ObjectiveWeights.in_force(EXPERIMENT)))


def frame_of(rows: int, logged: list[bool]) -> pl.DataFrame:
    run, plan = short_run(requests=rows)
    columns = ExampleColumns(EXPERIMENT, AGENT, run, "label")
    ids = [f"r-{row}" for row in range(rows)]
    request = columns.request_columns(RequestTexts(ids, ids), plan, run.features(plan))
    ranked = RankedRequests(run.summaries(plan), np.zeros((rows, 6), dtype=np.int64))
    one = np.ones(rows)
    decided = VectorDecisions(np.full(rows, 3), np.full(rows, 49), one, one, one, np.array(logged))
    return columns.frame(request, ranked, decided, np.array([[2.0, 0.0]] * rows))


def test_the_columns_are_those_of_the_newest_example() -> None:
    assert frame_of(3, [True] * 3).schema == portable(empty_frame(Registry.bundled().newest(EXAMPLE))).schema


def test_only_logged_requests_are_kept_and_rewards_are_clipped() -> None:
    found = frame_of(3, [True, False, True])
    assert found["request_request_id"].to_list() == ["r-0", "r-2"] and found["outcome_offset"].to_list() == [0, 1]
    objectives = found["outcome_objectives"].to_list()[0]
    assert [(each["objective"], each["count"], each["reward"]) for each in objectives] == [
        ("repin", 2.0, 1.0),
        ("p2p", 0.0, 0.0),
    ]
    assert found["action_fallback_reason"].to_list() == ["no_policy"] * 2


@pytest.mark.parametrize("moment", [0, 43_200, 129_600, 1_080_000, 43_199, 86_399_999, 86_356_800])
def test_hours_are_rounded_as_for_single_requests(moment: int) -> None:
    _, plan = short_run(requests=1)
    at = type(plan)(plan.number, np.array([START + DAY_MS + moment]), plan.user, plan.session, plan.device)
    assert _context(at).to_pylist() == [str(value) for value in context_of(at, 0).values()]
