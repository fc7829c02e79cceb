"""Recovery and rebalances, read off samples."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from event_schemas.errors import ComponentUnreachable
from tests.chaos.observer import Observer, Progress, Sample, rebalances, recovery_seconds


def sample(at: float, done: Mapping[int, int], ends: Mapping[int, int], member: str = "m") -> Sample:
    return Sample(at - 0.1, at, Progress(done, ends), None, frozenset({(member, (0, 1))}), {})


SAMPLES = (
    sample(1.0, {0: 10, 1: 10}, {0: 10, 1: 10}),
    sample(2.0, {0: 10}, {0: 20, 1: 10}),
    sample(3.0, {0: 12, 1: 10}, {0: 30, 1: 10}, "n"),
    sample(4.0, {0: 20, 1: 10}, {0: 40, 1: 15}, "n"),
    sample(5.0, {0: 33, 1: 15}, {0: 50, 1: 15}, "o"),
)


def test_recovery_ends_when_what_the_log_held_at_the_faults_end_is_done() -> None:
    assert recovery_seconds(SAMPLES, 1.5, lambda s: s.join) == 2.5
    assert recovery_seconds(SAMPLES, 0.5, lambda s: s.join) == 0.5
    assert recovery_seconds(SAMPLES, 3.5, lambda s: s.join) is None, "never seen"
    assert recovery_seconds(SAMPLES, 9.0, lambda s: s.join) is None
    assert recovery_seconds(SAMPLES, 1.5, lambda s: s.learner) is None


def test_lag_counts_partitions_that_nobody_has_read() -> None:
    assert Progress({0: 10}, {0: 20, 1: 10}).lag == 20


def test_a_rebalance_is_a_change_of_members() -> None:
    assert rebalances(SAMPLES, 0.0, 9.0) == 2
    assert rebalances(SAMPLES, 0.0, 2.5) == 0
    assert rebalances(SAMPLES, 2.5, 4.5) == 0


def test_a_look_that_fails_is_left_out() -> None:
    looked = threading.Event()
    answers = iter([sample(1.0, {}, {}), None, sample(2.0, {}, {})])

    def look() -> Sample:
        answer = next(answers, SAMPLES[0])
        if answer is None:
            raise ComponentUnreachable("away", fix="wait")
        if answer.at == 2.0:
            looked.set()
        return answer

    observer = Observer(look)
    with observer.watching():
        assert looked.wait(20)
    assert [seen.at for seen in observer.samples][:2] == [1.0, 2.0]
    assert observer.last is not None
