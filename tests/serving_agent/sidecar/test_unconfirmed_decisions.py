"""The memory of returned decisions is bounded, and drops the oldest first."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from event_schemas.slices import Slice
from serving_agent.decide.decision import Decision
from serving_agent.decide.decision_records import DecisionFacts
from serving_agent.sidecar.unconfirmed_decisions import UnconfirmedDecisions


def decision(request_id: str) -> Decision:
    facts = DecisionFacts(request_id, 0, (), {}, 0, Slice.CONTROL, 1.0, 1.0, 1.0, True, "production", 0)
    return Decision(facts, lambda *_: None)


def test_finds_what_it_remembers() -> None:
    memory = UnconfirmedDecisions()
    kept = decision("a")
    memory.remember(kept)
    assert memory.find("a") is kept
    assert memory.find("b") is None


def test_the_oldest_falls_out_and_is_counted_when_unconfirmed() -> None:
    memory = UnconfirmedDecisions(capacity=2)
    confirmed = decision("a")
    confirmed.applied()
    for each in (confirmed, decision("b"), decision("c"), decision("d")):
        memory.remember(each)
    assert [memory.find(name) is not None for name in "abcd"] == [False, False, True, True]
    assert memory.forgotten == 1
    assert len(memory) == 2


def test_calls_under_one_id_make_one_decision() -> None:
    memory, made = UnconfirmedDecisions(), []

    def decide() -> Decision:
        time.sleep(0.01)
        made.append(decision("a"))
        return made[-1]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: memory.once("a", decide), range(16)))
    assert len(made) == 1
    assert all(answer is made[0] for answer in answers)
