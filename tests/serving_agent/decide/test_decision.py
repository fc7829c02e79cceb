"""Confirmation counts once, also when several threads confirm."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from event_schemas.records import RankingRecord
from event_schemas.slices import Slice
from serving_agent.decide.decision import Decision
from serving_agent.decide.decision_errors import InvalidConfirmation
from serving_agent.decide.decision_records import DecisionFacts
from tests.serving_samples import NOW


class Confirmations:
    def __init__(self) -> None:
        self.rankings: list[RankingRecord | None] = []

    def __call__(self, facts: DecisionFacts, ranking: RankingRecord | None) -> None:
        self.rankings.append(ranking)


def facts(**fields: Any) -> DecisionFacts:
    content: dict[str, Any] = {
        "request_id": "r",
        "event_time": NOW,
        "eligible": (),
        "weights": {"repin": 10.0},
        "arm": 3,
        "slice": Slice.POLICY,
        "propensity": 1.0,
        "slice_probability": 0.9,
        "sampling_rate": 0.5,
        "logged": True,
        "policy_version": "v1",
        "config_revision": 4,
    }
    return DecisionFacts(**{**content, **fields})


def test_tells_the_outcome() -> None:
    decision = Decision(facts(), Confirmations())
    assert (decision.request_id, decision.arm, decision.weights) == ("r", 3, {"repin": 10.0})
    assert (decision.slice, decision.propensity, decision.policy_version) == (Slice.POLICY, 1.0, "v1")
    assert (decision.config_revision, decision.fallback_reason, decision.shadow_arm) == (4, None, None)
    assert repr(decision) == "Decision('r', arm=3, slice=POLICY)"


def test_many_threads_confirm_once() -> None:
    told = Confirmations()
    decision = Decision(facts(), told)
    with ThreadPoolExecutor(8) as pool:
        firsts = list(pool.map(lambda _: decision.applied(), range(64)))
    assert sum(firsts) == 1
    assert told.rankings == [None]
    assert decision.confirmed


def test_a_bad_confirmation_leaves_it_open() -> None:
    told = Confirmations()
    decision = Decision(facts(), told)
    with pytest.raises(InvalidConfirmation, match="repin"):
        decision.applied({"repin": {"count": 0, "mean": 0.1, "p10": 0.1, "p50": 0.1, "p90": 0.1}})
    assert not decision.confirmed
    assert decision.applied({}, ["a"])
    assert told.rankings[0] is not None
    assert told.rankings[0]["served"] == ["a"]


def test_served_may_be_an_array() -> None:
    told = Confirmations()
    assert Decision(facts(), told).applied(served=np.array(["a", "b"]))  # type: ignore[arg-type]
    assert told.rankings[0] is not None
    assert told.rankings[0]["served"] == ["a", "b"]
