"""A forked child renews what it must not share, once for each live object."""

from __future__ import annotations

import gc
import os
import weakref

from event_schemas.process_fork import keep_forever, renew_in_children
from tests.components.forking import in_child, outcome_of


class Renewed:
    """Records in which process it was renewed last."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.renewed_in: int | None = None
        renew_in_children(self)

    def after_fork(self) -> None:
        self.renewed_in = os.getpid()


class Failing(Renewed):
    """Cannot be renewed."""

    def after_fork(self) -> None:
        raise RuntimeError("broken")


def each_process_renews() -> dict[str, bool]:
    things = [Failing("a"), Renewed("b"), Failing("c"), Renewed("d")]

    def all_renewed() -> bool:
        return all(thing.renewed_in == os.getpid() for thing in things if not isinstance(thing, Failing))

    return {
        "parent": all_renewed(),
        "child": in_child(all_renewed),
        "grandchild": in_child(lambda: in_child(all_renewed)),
    }


def test_every_child_renews_what_lives_whatever_fails() -> None:
    assert outcome_of(each_process_renews) == {"parent": False, "child": True, "grandchild": True}


def test_registration_keeps_nothing_alive() -> None:
    thing = Renewed("short")
    gone = weakref.ref(thing)
    del thing
    gc.collect()
    assert gone() is None


def test_what_is_kept_for_ever_is_not_finalised() -> None:
    thing = Renewed("kept")
    left = weakref.ref(thing)
    keep_forever(thing)
    del thing
    gc.collect()
    assert left() is not None
