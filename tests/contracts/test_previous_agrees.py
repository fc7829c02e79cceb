"""What a node remembers and what the learner fills in from a complete log are the same, down to the arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from event_schemas.experiment import Experiment
from feature_contract import FeatureContract
from learner.examples.learning_rows import LearningRows
from learner.examples.training_window import rows_since
from producers.delivery.memory_log import MemoryLog
from producers.loggers.decision_logger import DecisionLogger
from serving_agent.decide.decision_request import DecisionRequest
from serving_agent.decide.policy_agent import AgentOptions, PolicyAgent
from serving_agent.decide.snapshot import SnapshotHolder
from tests.learner_samples import World
from tests.serving_samples import NOW, codec, embedded, loaded, logged, preferring, serving_experiment, snapshot_of

LENGTH = 3
EXPERIMENT = serving_experiment(
    experiment={"exploration_rate": 0.4, "control_rate": 0.2, "log_rate": 1.0},
    features={"previous_length": LENGTH},
    serving={"remember_previous": True},
)
USERS = ("null", None, *(f"u{number}" for number in range(15)))


def served_examples(experiment: Experiment, requests: int = 600) -> list[dict[str, Any]]:
    """The examples of users who come back, some of whose decisions are never applied."""
    random = np.random.default_rng(5)
    times = NOW + np.cumsum(random.integers(1, 10 ** random.integers(1, 7, requests)))
    users = random.integers(len(USERS), size=requests)
    applied = random.random(requests) < 0.9
    log, now = MemoryLog(), [NOW]
    logger = DecisionLogger(codec(), log, "trimtab.events")
    policy = loaded(experiment, preferring(experiment, repin=2, p2p=5))
    holder = SnapshotHolder(snapshot_of(experiment, stable=policy))
    agent = PolicyAgent(experiment, logger, holder, options=AgentOptions(clock=lambda: now[0]))
    for number in range(requests):
        now[0] = int(times[number])
        request = DecisionRequest(f"r{number}", user_id=USERS[users[number]], user_embedding=embedded(0.1))
        decision = agent.decide(request)
        if applied[number]:
            decision.applied()
    agent.close()
    logger.close()
    return examples_of(log)


def examples_of(log: MemoryLog) -> list[dict[str, Any]]:
    parts = {name: {record["request_id"]: record for record in logged(log, name)} for name in PARTS}
    return [
        {part.lower(): parts[part][request_id] for part in PARTS}
        | {
            "ranking": None,
            "outcome": {
                "objectives": [],
                "closed_early": False,
                "window_closed_at": action["event_time"] + 10**7,
                "partition": 0,
                "offset": offset,
            },
        }
        for offset, (request_id, action) in enumerate(parts["Action"].items())
    ]


PARTS = ("Request", "Action", "Propensity")


@pytest.fixture(scope="module")
def examples() -> list[dict[str, Any]]:
    return served_examples(EXPERIMENT)


def blanked(frame: pl.DataFrame) -> pl.DataFrame:
    """As requests of callers who do not echo."""
    return frame.with_columns(pl.col("request_previous").list.head(0))


def stored_before(frame: pl.DataFrame) -> pl.DataFrame:
    """As rows that were stored before the field existed."""
    return frame.drop("request_previous")


def rows_of(frame: pl.DataFrame) -> LearningRows:
    return rows_since(frame, 0, EXPERIMENT, FeatureContract.from_experiment(EXPERIMENT))


@pytest.mark.parametrize("without", [blanked, stored_before])
def test_remembering_and_filling_in_give_the_same_arrays(
    examples: list[dict[str, Any]], without: Callable[[pl.DataFrame], pl.DataFrame]
) -> None:
    frame = World(EXPERIMENT, codec()).frame(examples)
    echoed, filled = rows_of(frame), rows_of(without(frame))
    assert echoed.inputs.keys() == filled.inputs.keys() >= {"previous_weights", "previous_ages", "previous_mask"}
    for name, array in echoed.inputs.items():
        np.testing.assert_array_equal(filled.inputs[name], array, name)
    assert echoed.frame["request_previous"].to_list() == filled.frame["request_previous"].to_list()
    # The comparison is not of nothing: all numbers of entries occur, and weights of all slices.
    assert set(echoed.inputs["previous_mask"].sum(axis=1).tolist()) == set(range(LENGTH + 1))
    assert {action["slice"] for action in frame.select(slice="action_slice").to_dicts()} >= {"EXPLORE", "POLICY"}
    nobody = echoed.frame.filter(pl.col("request_user_id").is_null() | (pl.col("request_user_id") == "null"))
    assert nobody.height > 10
    assert nobody["request_previous"].list.len().sum() == 0


def test_a_log_with_holes_gives_fewer_entries_or_older_ones(examples: list[dict[str, Any]]) -> None:
    frame = World(EXPERIMENT, codec()).frame(examples)
    holes = blanked(frame).filter((pl.col("action_slice") != "POLICY") | (pl.col("request_event_time") % 2 == 0))
    echoed, filled = rows_of(frame), rows_of(holes)
    assert filled.count == echoed.count
    assert filled.inputs["previous_mask"].sum() < echoed.inputs["previous_mask"].sum()
    ages = [
        np.where(rows.inputs["previous_mask"] == 1, rows.inputs["previous_ages"], np.inf) for rows in (filled, echoed)
    ]
    assert (ages[0] >= ages[1]).all()
