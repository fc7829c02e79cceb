"""Engagements come with the right frequency, mostly inside their window, in time order."""

import numpy as np

from simulator.homefeed import INSIDE_SHARE
from simulator.user_responses import ResponseQueue, ShownSlate

WINDOW = 1_800_000


def slates(count: int) -> list[ShownSlate]:
    return [ShownSlate(n, f"r{n}", 1_000_000 + n, ["a", "b"]) for n in range(count)]


def test_shares_of_engagements_inside_their_window_and_sent_twice() -> None:
    queue = ResponseQueue(1, [WINDOW, WINDOW])
    happened = queue.respond(slates(20_000), np.full((20_000, 2, 2), 0.2))
    responses = list(queue.rest())
    assert abs(happened / 80_000 - 0.2) < 0.01
    assert 1.0 < len(responses) / happened < 1.02
    distinct = set(responses)
    inside = sum(r.time - (1_000_000 + int(r.request_id[1:])) <= WINDOW for r in distinct)
    assert abs(inside / len(distinct) - INSIDE_SHARE) < 0.01


def test_due_hands_out_in_time_order_and_keeps_the_rest() -> None:
    queue = ResponseQueue(1, [WINDOW, WINDOW])
    queue.respond(slates(500), np.full((500, 2, 2), 0.5))
    middle = 1_000_000 + WINDOW // 8
    early = list(queue.take_due(middle))
    assert early and len(queue)
    assert [r.time for r in early] == sorted(r.time for r in early) and early[-1].time <= middle
    assert all(r.time > middle for r in queue.rest()) and not len(queue)


def test_a_seed_fixes_the_responses() -> None:
    first, second = ResponseQueue(9, [WINDOW, WINDOW]), ResponseQueue(9, [WINDOW, WINDOW])
    for queue in (first, second):
        queue.respond(slates(100), np.full((100, 2, 2), 0.3))
    assert list(first.rest()) == list(second.rest())


def test_nothing_shown_means_nothing_happens() -> None:
    assert ResponseQueue(1, [WINDOW, WINDOW]).respond([], np.empty((0, 6, 2))) == 0
