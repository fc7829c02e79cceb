"""Whether a training window had rows that were forgotten after the training."""

import numpy as np
import pytest

from learner.examples.forgotten_decisions import ForgottenDecisions

DECISIONS = ForgottenDecisions("list", 9, np.array([2, 5, 8]), np.array([30, 10, 20]))
SPAN = {"train_from": 10, "train_to": 20}


def test_a_window_is_half_open_and_what_was_forgotten_before_it_was_read_does_not_count() -> None:
    assert DECISIONS.mark() == {"list": "list", "last": 9}
    assert DECISIONS.learnt(SPAN)
    assert DECISIONS.learnt(SPAN | {"forgotten": {"list": "list", "last": 4}})
    assert not DECISIONS.learnt(SPAN | {"forgotten": {"list": "list", "last": 5}})
    assert not DECISIONS.learnt({"train_from": 11, "train_to": 20})
    assert DECISIONS.learnt({"train_from": 11, "train_to": 21})


def test_the_mark_of_another_list_says_nothing() -> None:
    other = SPAN | {"forgotten": {"list": "other", "last": 9}}
    assert DECISIONS.last_before(other) == DECISIONS.last_before(SPAN) == 0
    assert DECISIONS.learnt(other)
    nobody = ForgottenDecisions()
    assert nobody.mark() == {"list": None, "last": 0}
    assert not nobody.learnt(SPAN | {"forgotten": nobody.mark()})


def test_a_malformed_mark_is_an_error() -> None:
    with pytest.raises((KeyError, TypeError)):
        DECISIONS.learnt(SPAN | {"forgotten": 3})
    with pytest.raises(KeyError):
        DECISIONS.learnt({"train_from": 1})
