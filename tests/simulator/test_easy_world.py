"""The world of the demo offers what a run asks for."""

import numpy as np
import pytest

from event_schemas.experiment import load_experiment
from event_schemas.units import DAY_MS
from simulator.easy_world import STRIDE_MS, EasyWorld, summarise_heads
from simulator.homefeed import HEADS, SERVED
from simulator.homefeed_world import RunPlan, build_world
from simulator.live_world import LiveWorld
from tests.simulator_samples import HOMEFEED

START = 1_700_000_000_000


def accept_world(world: EasyWorld) -> LiveWorld:
    """Type-checked: the easy world is a live world."""
    return world


def test_a_stride_serves_what_it_later_responds_to() -> None:
    world, plan = build_world(load_experiment(HOMEFEED), RunPlan(1, 300, START, START + DAY_MS, users=50))
    assert isinstance(world, EasyWorld) and world.stride_end(START) == START + STRIDE_MS
    stride = world.stride(plan)
    slates = [stride.rank(index, np.array([91.6, 9.1])) for index in range(len(plan))]
    assert all(len(items) == len(set(items)) == SERVED for items in slates)
    stride.respond({7: "r-7", 9: "r-9"})
    responses = list(world.rest())
    assert {each.request_id for each in responses} <= {"r-7", "r-9"}
    assert all(each.item_id in slates[int(each.request_id[2:])] for each in responses)


def test_head_summaries_are_ordered_quantiles() -> None:
    heads = np.random.default_rng(0).random((3, 40, 3)).astype(np.float32)
    for row, summary in enumerate(summarise_heads(heads)):
        assert set(summary) == set(HEADS)
        for column, head in enumerate(HEADS):
            told = summary[head]
            assert told["p10"] <= told["p50"] <= told["p90"] and told["count"] == 40
            assert told["mean"] == pytest.approx(heads[row, :, column].mean())
