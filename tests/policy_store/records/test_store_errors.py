"""The exception tree drawn in the module is the one in the code."""

from __future__ import annotations

import inspect
import re

from event_schemas.errors import TrimtabError
from policy_store.records import store_errors


def test_the_drawn_tree_is_complete() -> None:
    classes = {
        name: each
        for name, each in inspect.getmembers(store_errors, inspect.isclass)
        if each.__module__ == store_errors.__name__
    }
    drawn = set(re.findall(r"[├└]── (\w+)", store_errors.__doc__ or "")) - {"ComponentUnreachable"}
    assert drawn == set(classes)
    assert all(issubclass(each, TrimtabError) for each in classes.values())


def test_an_error_says_what_and_how_to_fix() -> None:
    error = store_errors.LeaseHeld("the lease is held", fix="wait")
    assert isinstance(error, store_errors.LeaseLost)
    assert (error.what, error.fix) == ("the lease is held", "wait")
