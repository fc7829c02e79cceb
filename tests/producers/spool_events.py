"""Events for tests of the spool."""

from __future__ import annotations

from hypothesis import strategies as st

from producers.delivery.outgoing_event import OutgoingEvent

RECORDS = ("Request", "Action", "Engagement", "Tally")


def events(count: int, start: int = 0) -> list[OutgoingEvent]:
    """Events numbered from `start` up to, but not including, `count`."""
    return [OutgoingEvent("events", f"k{n}".encode(), f"value {n}".encode(), "Request") for n in range(start, count)]


any_event = st.builds(
    OutgoingEvent,
    topic=st.from_regex(r"[a-zA-Z0-9._-]{1,20}", fullmatch=True),
    key=st.none() | st.binary(max_size=20),
    value=st.binary(max_size=60),
    record=st.sampled_from(RECORDS),
    partition=st.none() | st.integers(0, 5),
)
