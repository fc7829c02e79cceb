"""Every exception of the project derives from TrimtabError and the tree in the docstring is complete."""

from __future__ import annotations

from event_schemas import errors
from event_schemas.errors import TrimtabError, caused_by


def test_the_drawn_tree_names_every_exception() -> None:
    classes = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    drawn = {word for word in (errors.__doc__ or "").replace("─", " ").split() if word in classes}
    assert drawn == classes


def test_an_error_says_what_and_how_to_fix_it() -> None:
    fault = TrimtabError("the cup is empty", fix="fill it")
    assert (fault.what, fault.fix, str(fault)) == ("the cup is empty", "fill it", "the cup is empty | fix: fill it")


def test_an_error_is_of_a_kind_when_what_led_to_it_is() -> None:
    root, link = OSError("deep"), ValueError("between")
    link.__context__ = root
    shallow = RuntimeError("seen")
    shallow.__cause__ = link
    assert caused_by(shallow, KeyError, OSError)
    assert caused_by(shallow, RuntimeError)
    assert not caused_by(shallow, KeyError)
