"""Deadlines: a call gives up in time, and overload drains instead of piling up."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest

from serving_agent.decide.inference_budget import BudgetExceeded, InferenceBudget
from serving_agent.decide.policy_graph import InferenceFailed, run_flag
from tests.serving_samples import embedded, loaded, serving_experiment, slow_graph


class Flag:
    terminate = False


@pytest.fixture
def budget() -> Iterator[InferenceBudget]:
    made = InferenceBudget(workers=1)
    yield made
    made.close()


def test_work_in_time_gives_its_result(budget: InferenceBudget) -> None:
    assert budget.run(lambda: 7, 5.0, Flag()) == 7


def test_what_work_raises_reaches_the_caller(budget: InferenceBudget) -> None:
    def fail() -> int:
        raise InferenceFailed("broken", fix="fix")

    with pytest.raises(InferenceFailed):
        budget.run(fail, 5.0, Flag())


def test_late_work_is_told_to_stop(budget: InferenceBudget) -> None:
    release, flag = threading.Event(), Flag()
    with pytest.raises(BudgetExceeded):
        budget.run(lambda: release.wait(10.0), 0.02, flag)
    assert flag.terminate
    release.set()
    assert budget.run(lambda: 1, 5.0, Flag()) == 1


def test_work_that_never_started_is_removed(budget: InferenceBudget) -> None:
    release = threading.Event()
    ran: list[int] = []
    with pytest.raises(BudgetExceeded):
        budget.run(lambda: release.wait(10.0), 0.02, Flag())
    for number in range(5):
        with pytest.raises(BudgetExceeded):
            budget.run(partial(ran.append, number), 0.01, Flag())
    release.set()
    assert budget.run(lambda: "next", 5.0, Flag()) == "next"
    assert ran == []


@pytest.mark.parametrize("seconds", [0.0, -1.0])
def test_no_time_left_is_no_time(budget: InferenceBudget, seconds: float) -> None:
    with pytest.raises(BudgetExceeded):
        budget.run(lambda: 1, seconds, Flag())


def test_closed_refuses(budget: InferenceBudget) -> None:
    budget.close()
    with pytest.raises(BudgetExceeded):
        budget.run(lambda: 1, 1.0, Flag())


def test_a_running_network_stops_when_told(budget: InferenceBudget) -> None:
    experiment = serving_experiment()
    network = loaded(experiment, slow_graph(experiment)).network
    feeds = {"user_embedding": np.array([embedded(1.0)], dtype=np.float32)}
    flag, facts = run_flag(), []

    def work() -> None:
        try:
            network.score(feeds, flag)
        except InferenceFailed as fault:
            facts.append(fault.what)

    with pytest.raises(BudgetExceeded):
        budget.run(work, 0.05, flag)
    budget.run(lambda: None, 10.0, Flag())
    assert len(facts) == 1


def test_work_nobody_waits_for_is_never_queued(budget: InferenceBudget) -> None:
    """Every worker hangs: later calls leave nothing behind, however many there are."""
    release = threading.Event()
    with pytest.raises(BudgetExceeded):
        budget.run(lambda: release.wait(10.0), 0.02, Flag())
    for _ in range(50):
        with pytest.raises(BudgetExceeded):
            budget.run(lambda: 1, 0.0005, Flag())
    assert budget._pool._work_queue.qsize() == 0
    release.set()
    assert budget.run(lambda: "next", 5.0, Flag()) == "next"


def test_closing_under_a_caller_is_no_more_than_a_time_out() -> None:
    for _ in range(50):
        made = InferenceBudget(workers=1)
        raised: list[type[BaseException]] = []

        def ask(made: InferenceBudget = made, raised: list[type[BaseException]] = raised) -> None:
            try:
                for _ in range(200):
                    made.run(lambda: 1, 1.0, Flag())
            except BaseException as fault:
                raised += [type(fault)]

        callers = [threading.Thread(target=ask) for _ in range(3)]
        for caller in callers:
            caller.start()
        made.close()
        for caller in callers:
            caller.join()
        assert set(raised) <= {BudgetExceeded}
