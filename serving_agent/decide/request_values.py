"""Values of a caller's request as plain Python objects, or the InvalidRequest that names the field."""

from collections.abc import Iterable
from operator import index
from typing import TypeVar

from event_schemas.number_bounds import LONGS
from event_schemas.shown_text import shown
from serving_agent.decide.decision_errors import InvalidRequest

Item = TypeVar("Item")


def whole_number(name: str, value: int) -> int:
    """A value of any integer type, including NumPy's, as a plain int; raises InvalidRequest."""
    try:
        whole = index(value)
    except TypeError as fault:
        raise InvalidRequest(
            f"{name} = {shown(value)} is not a whole number", fix=f"send {name} as an integer"
        ) from fault
    if whole not in LONGS:
        raise InvalidRequest(f"{name} does not fit into 64 bits", fix=f"send {name} as a 64-bit integer")
    return whole


def listed(name: str, values: Iterable[Item] | None) -> list[Item]:
    """The values as a list, empty for None; raises InvalidRequest if they cannot be iterated."""
    try:
        return [] if values is None else list(values)
    except TypeError as fault:
        raise InvalidRequest(f"{name} is not a list: {fault}", fix=f"send {name} as a list, or leave it out") from fault
