"""The memory of returned decisions is bounded, and drops the oldest first."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

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
    assert (memory.forgotten, memory.held) == (1, 2)


def require_right_counts(memory: UnconfirmedDecisions, everyone: list[Decision]) -> None:
    kept = [each for each in everyone if memory.find(each.request_id) is each]
    lost = [each for each in everyone if each not in kept]
    assert memory.held == sum(not each.confirmed for each in kept)
    assert memory.forgotten == sum(not each.confirmed for each in lost)


@given(st.lists(st.tuples(st.sampled_from(["once", "again", "confirm", "late"]), st.integers(0, 6)), max_size=60))
def test_only_unconfirmed_ones_count_however_calls_repeat_and_overtake_each_other(steps: list[tuple[str, int]]) -> None:
    """`late` is a confirmation by a call that found the decision before newer ones displaced it."""
    memory, everyone = UnconfirmedDecisions(capacity=3), list[Decision]()
    for what, number in steps:
        if what == "once":
            found = memory.once(str(number), lambda number=number: decision(str(number)))  # type: ignore[misc]
            everyone += [] if found in everyone else [found]
        elif what == "again":
            everyone.append(decision(str(number)))
            memory.remember(everyone[-1])
        elif what == "confirm" and (kept := memory.find(str(number))) is not None:
            memory.take_confirmation(kept, {}, (), "")
        elif what == "late" and everyone:
            memory.take_confirmation(everyone[number % len(everyone)], {}, (), "")
        require_right_counts(memory, everyone)


def test_the_counts_are_right_after_many_threads() -> None:
    memory, everyone = UnconfirmedDecisions(capacity=4), [decision(str(number)) for number in range(400)]

    def serve(number: int) -> None:
        memory.remember(everyone[number])
        for each in everyone[max(number // 2 * 2 - 8, 0) : number : 2]:  # only the even ones
            memory.take_confirmation(each, {}, (), "")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(serve, range(400)))
    require_right_counts(memory, everyone)
    assert memory.forgotten > 0


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
