"""A line that cannot be written hurts nobody."""

from __future__ import annotations

from producers.careful_log import tell


def test_fields_arrive_and_failures_pass() -> None:
    written: list[tuple[str, dict[str, object]]] = []

    def write(event: str, **fields: object) -> None:
        written.append((event, fields))
        raise OSError("No space left on device")

    tell(write, "event dropped", what="x")
    assert written == [("event dropped", {"what": "x"})]
