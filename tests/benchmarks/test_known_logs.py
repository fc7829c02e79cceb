"""A simulated log in memory: its rewards have the means that the exact values say."""

import numpy as np
import polars as pl
import pytest

from benchmarks.gate_learners import experiment_of
from benchmarks.known_logs import KnownLog, known_log


@pytest.fixture(scope="module")
def log() -> KnownLog:
    return known_log(experiment_of("q_network"), "homefeed", 4_000, 3, 5)


def test_explored_requests_earn_what_the_exact_values_say(log: KnownLog) -> None:
    ids = log.frame["request_request_id"]
    assert set(log.frame["action_slice"]) == {"EXPLORE"} and log.frame.height == pytest.approx(2_400, rel=0.1)
    values = log.values(ids)
    expected = values[np.arange(len(ids)), log.frame["action_arm"].to_numpy()]
    rewards = np.array([[each["reward"] for each in row] for row in log.frame["outcome_objectives"]])
    error = np.sqrt((expected * (1.0 - expected)).sum(axis=0))
    assert (np.abs(rewards.sum(axis=0) - expected.sum(axis=0)) < 4.0 * error).all()


def test_values_follow_the_order_asked_for_and_strangers_are_refused(log: KnownLog) -> None:
    ids = log.frame["request_request_id"][:50]
    assert (log.values(ids.reverse()) == log.values(ids)[::-1]).all()
    with pytest.raises(KeyError):
        log.values(pl.Series(["nobody"]))
