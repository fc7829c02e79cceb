"""Log lines about dead letters: the first of each kind, then at most one a second with the number in between."""

from __future__ import annotations

from typing import Any

from stream_processors.partition.partition_join import Emission
from stream_processors.rule.fates import Fate
from stream_processors.worker.dead_letter_log import PAUSE_SECONDS, DeadLetterLog


class Listener:
    """A log whose lines can be read back, with a clock to set."""

    def __init__(self) -> None:
        self.now = 10.0
        self.lines: list[dict[str, Any]] = []
        self.log = DeadLetterLog(lambda: self.now, lambda event, **fields: self.lines.append(fields))

    def note(self, partition: int, *letters: tuple[Fate | None, int]) -> list[dict[str, Any]]:
        before = len(self.lines)
        self.log.note(partition, [letter(reason, offset) for reason, offset in letters])
        return self.lines[before:]


def letter(reason: Fate | None, offset: int) -> Emission:
    return Emission("example" if reason is None else "dead_letter", f"r{offset}".encode(), b"", offset, reason)


def test_the_first_of_each_reason_and_partition_is_told_with_its_place() -> None:
    listener = Listener()
    told = listener.note(3, (None, 1), (Fate.LATE, 2), (Fate.LATE, 3), (Fate.MALFORMED, 4))
    assert told == [
        {"reason": "late", "partition": 3, "offset": 2, "request_id": "r2", "untold": 0},
        {"reason": "malformed", "partition": 3, "offset": 4, "request_id": "r4", "untold": 1},
    ]
    assert [line["partition"] for line in listener.note(4, (Fate.LATE, 9))] == [4]


def test_poison_gives_one_line_a_second_with_a_count() -> None:
    listener = Listener()
    poison = [(Fate.MALFORMED, offset) for offset in range(500)]
    assert len(listener.note(0, *poison)) == 1
    listener.now += PAUSE_SECONDS / 2
    assert listener.note(0, *poison) == []
    listener.now += PAUSE_SECONDS / 2
    (line,) = listener.note(0, *poison)
    assert (line["offset"], line["untold"]) == (0, 999)


def test_examples_are_not_told() -> None:
    assert Listener().note(0, (None, 1), (None, 2)) == []
