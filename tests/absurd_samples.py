"""Examples with one field that nobody means: what an encoder lets through, in every part of an Example."""

import copy
import math
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

Example = dict[str, Any]
Change = Callable[[Example, Any], None]

INT64 = st.integers(-(2**63), 2**63 - 1) | st.sampled_from([0, -1, 2**63 - 1, -(2**63), 2**62, 4_102_444_800_000])
INT32 = st.integers(-(2**31), 2**31 - 1)
SPECIAL = [math.nan, math.inf, -math.inf, 0.0, -0.0, 5e-324, 1e-45, -1e30, 1e30, 3.4e38, 1e6, 1e20, -1.0, 2.0]
FLOAT64 = st.floats() | st.sampled_from([*SPECIAL, 1e308, -1e308])
FLOAT32 = st.floats(width=32) | st.sampled_from(SPECIAL)
TEXT = st.text(max_size=8) | st.sampled_from(["", "\0", "nan", "inf", "-1e400", "1e30", "1_0", "٣", "x" * 5000])
NUMBER_TEXT = TEXT | FLOAT64.map(repr) | st.integers(-(10**40), 10**40).map(str)
ITEM = st.fixed_dictionaries(
    {"item_id": TEXT, "action_type": TEXT, "event_time": INT64, "embedding": st.lists(FLOAT32, max_size=3)}
)
HEAD = st.fixed_dictionaries(
    {"head": TEXT | st.just("repin"), "count": INT64, "mean": FLOAT32, "p10": FLOAT32, "p50": FLOAT32, "p90": FLOAT32}
)
OUTCOME = st.fixed_dictionaries(
    {
        "objective": st.sampled_from(["repin", "p2p", "", "another"]),
        "count": FLOAT64,
        "reward": FLOAT64,
        "observed": st.booleans(),
    }
)


def _event_time(example: Example, value: int) -> None:
    for part in ("request", "action", "propensity", "ranking"):
        example[part]["event_time"] = value


def _field(part: str, name: str) -> Change:
    def change(example: Example, value: Any) -> None:
        example[part][name] = value

    return change


def _context(name: str) -> Change:
    def change(example: Example, value: str) -> None:
        example["request"]["context"].append({"name": name, "value": value})

    return change


def _ranking(example: Example, heads: list[dict[str, Any]]) -> None:
    example["ranking"]["heads"] = heads


CHANGES: dict[str, tuple[Change, st.SearchStrategy[Any]]] = {
    "event_time": (_event_time, INT64),
    "user_id": (_field("request", "user_id"), st.none() | TEXT),
    "cohort": (_field("request", "cohort"), st.none() | TEXT),
    "user_embedding": (_field("request", "user_embedding"), st.lists(FLOAT32, max_size=5)),
    "right_embedding": (_field("request", "user_embedding"), st.lists(FLOAT32, min_size=4, max_size=4)),
    "hour": (_context("hour"), NUMBER_TEXT),
    "surface": (_context("surface"), TEXT),
    "history": (_field("request", "history"), st.lists(ITEM, max_size=6)),
    "slice": (_field("action", "slice"), st.sampled_from(["EXPLORE", "CONTROL", "POLICY", "FALLBACK"])),
    "arm": (_field("action", "arm"), INT32 | INT64),
    "eligible": (_field("action", "eligible"), st.lists(st.integers(-2, 12) | INT64, max_size=12)),
    "weights": (_field("action", "weights"), st.lists(FLOAT64, max_size=3)),
    "action_space": (_field("action", "action_space"), TEXT),
    "propensity": (_field("propensity", "propensity"), FLOAT64),
    "slice_probability": (_field("propensity", "slice_probability"), FLOAT64),
    "sampling_rate": (_field("propensity", "sampling_rate"), FLOAT64),
    "probabilities": (_field("propensity", "probabilities"), st.lists(FLOAT64, max_size=10)),
    "ten_probabilities": (_field("propensity", "probabilities"), st.lists(FLOAT64, min_size=10, max_size=10)),
    "heads": (_ranking, st.lists(HEAD, max_size=4)),
    "objectives": (_field("outcome", "objectives"), st.lists(OUTCOME, max_size=4)),
    "closed_early": (_field("outcome", "closed_early"), st.booleans()),
    "window_closed_at": (_field("outcome", "window_closed_at"), INT64),
}


def changed(example: Example, field: str, value: Any) -> Example:
    """A copy of the example with one field changed."""
    copied = copy.deepcopy(example)
    CHANGES[field][0](copied, value)
    return copied


@st.composite
def one_change(draw: st.DrawFn) -> tuple[str, Any]:
    """A field and a value for it."""
    field = draw(st.sampled_from(sorted(CHANGES)))
    return field, draw(CHANGES[field][1])
