"""The weights that a caller says its user was served before, and the records made from them."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

from event_schemas.event_bounds import unit_fault
from event_schemas.number_bounds import LARGEST_FLOAT
from event_schemas.plausible_times import LONGEST_PAST_MS
from event_schemas.records import MOST_PREVIOUS, PreviousWeightsRecord
from event_schemas.shown_text import listed as joined
from event_schemas.shown_text import shown
from event_schemas.units import MINUTE_MS
from serving_agent.decide.decision_errors import InvalidRequest
from serving_agent.decide.request_values import listed, whole_number

FURTHEST_AHEAD_MS = 5 * MINUTE_MS
"""How far an earlier decision may be after its request: the clocks of two nodes may differ by this much."""


class ServedWeights(TypedDict):
    """An earlier decision: its time (epoch ms) and its weights by name, both as its answer had them."""

    event_time: int
    weights: Mapping[str, float]


def previous_records(
    previous: Sequence[ServedWeights] | None, weight_names: Sequence[str], request_time: int
) -> list[PreviousWeightsRecord]:
    """The newest MOST_PREVIOUS earlier decisions, with weights in the order of `weight_names`.

    Raises InvalidRequest for entries that are not newest first or more than FURTHEST_AHEAD_MS after the request, for
    weights whose names are not exactly `weight_names` or that are not finite, and for any entry where there are no
    weights to name (a catalogue).
    """
    if previous is None:
        return []
    entries = listed("previous", previous)
    if entries and not weight_names:
        raise InvalidRequest("previous was given, but a catalogue has no weights", fix="leave previous out")
    records = [_entry(slot, entry, weight_names) for slot, entry in enumerate(entries[:MOST_PREVIOUS])]
    newer = request_time + FURTHEST_AHEAD_MS
    for slot, record in enumerate(records):
        time = record["event_time"]
        if not request_time - LONGEST_PAST_MS <= time <= newer:
            _refuse_time(slot, time, request_time)
        newer = min(time, newer)
    return records


def _refuse_time(slot: int, time: int, request_time: int) -> None:
    """Raises InvalidRequest unless the time is just long ago."""
    where = f"previous[{slot}].event_time"
    if (fault := unit_fault(where, time, request_time)) is not None:
        raise InvalidRequest(fault.what, fix=fault.fix)
    if time > request_time + FURTHEST_AHEAD_MS:
        raise InvalidRequest(
            f"{where} = {time} is after its request, whose time is {request_time}", fix="send only past decisions"
        )
    if time >= request_time - LONGEST_PAST_MS:
        raise InvalidRequest(f"{where} = {time} is after the entry before it", fix="list the newest first")


def _entry(slot: int, entry: ServedWeights, names: Sequence[str]) -> PreviousWeightsRecord:
    where = f"previous[{slot}]"
    if not isinstance(entry, Mapping):
        raise InvalidRequest(f"{where} is a {type(entry).__name__}", fix="send every entry as a map of name → value")
    absent = [name for name in ("event_time", "weights") if entry.get(name) is None]
    if absent:
        raise InvalidRequest(f"{where} lacks {', '.join(absent)}", fix="give event_time (epoch ms) and weights")
    return {
        "event_time": whole_number(f"{where}.event_time", entry["event_time"]),
        "weights": _in_order(f"{where}.weights", entry["weights"], names),
    }


def _in_order(where: str, weights: Mapping[str, float], names: Sequence[str]) -> list[float]:
    """The weights in the order of `names`, each a finite number."""
    if not isinstance(weights, Mapping):
        raise InvalidRequest(f"{where} is a {type(weights).__name__}", fix="send weights as a map of name → value")
    if absent := [name for name in names if weights.get(name) is None]:
        raise InvalidRequest(f"{where} lacks {joined(absent)}", fix="send all weights of the decision, by name")
    if len(weights) > len(names):
        unknown = [shown(name) for name in weights if name not in names]
        raise InvalidRequest(
            f"{where} names {joined(unknown)}, which the experiment does not tune", fix=f"send {joined(names)}"
        )
    try:
        numbers = [float(weights[name]) for name in names]
    except (TypeError, ValueError, OverflowError) as fault:
        raise InvalidRequest(f"{where} holds something else than numbers: {fault}", fix="send numbers") from fault
    if not all(abs(number) <= LARGEST_FLOAT for number in numbers):  # a NaN is not
        raise InvalidRequest(f"{where} holds a number that is not finite or too large", fix="send the weights served")
    return numbers
