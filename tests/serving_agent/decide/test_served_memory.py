"""What a process remembers of what it served, how much of it, and in a forked child."""

from __future__ import annotations

import threading
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from serving_agent.decide.served_memory import ServedMemory
from tests.components.forking import in_child, outcome_of
from tests.serving_samples import NOW


def times(memory: ServedMemory, user: str, before: int = NOW) -> list[int]:
    return [each["event_time"] for each in memory.before(user, before)]


def test_the_newest_come_first_with_their_weights() -> None:
    memory = ServedMemory(weights=2, decisions=2)
    for time, weights in ((1, (91.6, 9.1)), (2, (10.0, 30.0)), (3, (200.0, 1.0))):
        memory.note("u", time, weights)
    assert memory.before("u", 4) == [
        {"event_time": 3, "weights": [200.0, 1.0]},
        {"event_time": 2, "weights": [10.0, 30.0]},
    ]
    assert memory.before("u", 3) == [{"event_time": 2, "weights": [10.0, 30.0]}], "strictly earlier"
    assert memory.before("another", 4) == memory.before(None, 4) == []


def test_decisions_may_be_applied_in_another_order() -> None:
    memory = ServedMemory(weights=1, decisions=3)
    for time in (5, 2, 4, 3, 1):
        memory.note("u", time, (float(time),))
    assert times(memory, "u") == [5, 4, 3]


def test_nobody_is_not_remembered() -> None:
    memory = ServedMemory(weights=1, decisions=1)
    for nobody in (None, "", " ", "null", "0"):
        memory.note(nobody, 1, (1.0,))
    assert len(memory) == 0


def test_users_are_bounded_and_those_who_are_served_stay() -> None:
    memory = ServedMemory(weights=1, decisions=2, users=2)
    for time in range(1, 6):
        memory.note("regular", time, (1.0,))
        memory.note(f"guest{time}", time, (1.0,))
    assert len(memory) == 2
    assert (times(memory, "regular"), times(memory, "guest5"), times(memory, "guest4")) == ([5, 4], [5], [])


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 20)), max_size=30), st.integers(1, 4))
def test_it_is_the_sorted_list_of_what_was_noted(noted: list[tuple[str, int]], decisions: int) -> None:
    memory = ServedMemory(weights=1, decisions=decisions)
    for number, (user, time) in enumerate(noted):
        memory.note(user, time, (float(number),))
    for user in "abc":
        # Of one time, the one noted later is the newer.
        expected = sorted(((time, number) for number, (who, time) in enumerate(noted) if who == user), reverse=True)
        found = [(each["event_time"], each["weights"][0]) for each in memory.before(user, 21)]
        assert found == expected[:decisions]


def test_threads_lose_nothing() -> None:
    memory = ServedMemory(weights=1, decisions=100)

    def note(start: int) -> None:
        for time in range(start, 100, 4):
            memory.note("u", time, (float(time),))
            seen = times(memory, "u")
            assert seen == sorted(seen, reverse=True)

    threads = [threading.Thread(target=note, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert times(memory, "u") == list(range(99, -1, -1))


def note_in_both() -> dict[str, Any]:
    memory = ServedMemory(weights=1, decisions=5)
    memory.note("u", 1, (1.0,))

    def child() -> list[int]:
        memory.note("u", 2, (2.0,))
        return times(memory, "u")

    with memory._lock:
        in_the_child = in_child(child)
    memory.note("u", 3, (3.0,))
    return {"child": in_the_child, "parent": times(memory, "u")}


def test_a_child_goes_on_with_what_its_parent_had_served() -> None:
    assert outcome_of(note_in_both) == {"child": [2, 1], "parent": [3, 1]}
