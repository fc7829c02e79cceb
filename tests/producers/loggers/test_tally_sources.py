"""Whatever clocks, kills, forks and event times do: the newest tallies of all sources are what was counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from event_schemas.codec import Codec
from event_schemas.registry import Registry
from event_schemas.units import DAY_MS
from producers.delivery.outgoing_event import LARGEST_EVENT
from producers.loggers.applied_decision import AppliedDecision
from producers.loggers.recent_units import RecentUnits
from producers.loggers.tally_sources import MOST_LEFT, MOST_ROWS, TallySources, source_name

CODEC = Codec(Registry.bundled())
A = AppliedDecision("EXPLORE", 0, 0, "d" * 64, 0.5, "s1")
FEW_ROWS = 4
DECISION = st.builds(
    AppliedDecision,
    st.sampled_from(["EXPLORE", "POLICY"]),
    st.integers(0, 2),
    st.integers(0, 6 * DAY_MS),
    st.sampled_from(["d" * 64, "e" * 64, None]),
    st.sampled_from([0.0, 0.25, 0.5]),
    st.sampled_from(["s1", "s2", "s3"]),
)
STEP = st.one_of(
    st.tuples(st.just("count"), DECISION),
    st.tuples(st.just("turn"), st.integers(-DAY_MS, 3 * DAY_MS)),
    st.tuples(st.sampled_from(["take", "take left", "kill", "fork"]), st.none()),
)


@dataclass
class Process:
    """A process, what it counted, and how much of that it has handed out."""

    name: str
    sources: TallySources = field(default_factory=lambda: TallySources(FEW_ROWS))
    counted: list[AppliedDecision] = field(default_factory=list)
    safe: int = 0


class Readers:
    """Keeps the newest tally of every source, as readers do."""

    def __init__(self) -> None:
        self.newest: dict[str, Any] = {}

    def take(self, process: Process, *, all_of_it: bool) -> None:
        for tally in process.sources.take() if all_of_it else process.sources.take_left():
            record: Any = tally.record(source_name(process.name, tally.number), 0)
            earlier = self.newest.get(record["source"], {"counts": []})
            before, after = (sum(row["count"] for row in said["counts"]) for said in (earlier, record))
            assert before < after, "a source only grows, and says nothing twice"
            self.newest[record["source"]] = record
        if all_of_it:
            process.safe = len(process.counted)

    def rows(self) -> Counter[tuple[int, str, int]]:
        found: Counter[tuple[int, str, int]] = Counter()
        for record in self.newest.values():
            found.update({(row["day"], row["slice"], row["arm"]): row["count"] for row in record["arms"]})
        return found

    def spans(self, column: str) -> dict[tuple[str, int], float]:
        found: Counter[tuple[str, int]] = Counter()
        for record in self.newest.values():
            for span in record["spans"]:
                found[span["exploration"], span["first_event_time"] // DAY_MS] += span[column]
        return {key: value for key, value in found.items() if value}


def rows_of(decisions: list[AppliedDecision]) -> Counter[tuple[int, str, int]]:
    return Counter((applied.event_time // DAY_MS, applied.slice, applied.arm) for applied in decisions)


def squares_of(decisions: list[AppliedDecision]) -> dict[tuple[str, int], float]:
    sizes = Counter((a.exploration, a.event_time // DAY_MS, a.unit) for a in decisions if a.exploration is not None)
    found: Counter[tuple[str, int]] = Counter()
    for (digest, day, _), size in sizes.items():
        found[digest, day] += size**2
    return dict(found)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEP, max_size=40))
def test_the_newest_tallies_add_up_to_what_was_counted(steps: list[tuple[str, Any]]) -> None:
    processes, readers = [Process("node.0")], Readers()
    for at, (what, value) in enumerate(steps, start=1):
        running = processes[-1]
        if what == "count":
            running.sources.add(value)
            running.counted.append(value)
        elif what == "turn":
            running.sources.turn(value)
        elif what == "fork":  # the parent goes on behind the child: its last tally comes at the end
            processes.insert(-1, Process(f"node.{at}"))
        elif what == "kill":
            processes.append(Process(f"node.{at}"))
        else:
            readers.take(running, all_of_it=what == "take")
        found, least = readers.rows(), sum((rows_of(p.counted[: p.safe]) for p in processes), Counter())
        assert least <= found <= sum((rows_of(p.counted) for p in processes), Counter()), "a kill loses a tail at most"
    for process in processes:
        readers.take(process, all_of_it=True)
    assert readers.rows() == sum((rows_of(process.counted) for process in processes), Counter())
    known = [applied for process in processes for applied in process.counted if applied.exploration is not None]
    assert sum(readers.spans("decisions").values()) == len(known)
    assert sum(readers.spans("rate_sum").values()) == sum(applied.exploration_rate for applied in known)
    squares = sum((Counter(squares_of(process.counted)) for process in processes), Counter[tuple[str, int]]())
    assert readers.spans("square_sum") == dict(squares), "a unit in two sources of a process counts once"
    assert all(len(record["arms"]) + len(record["spans"]) <= FEW_ROWS + 1 for record in readers.newest.values())


def taken(sources: TallySources) -> list[tuple[int, int]]:
    return [(tally.number, tally.decisions) for tally in sources.take()]


def test_a_source_lasts_a_day_by_the_clock() -> None:
    sources = TallySources()
    for now in (5, DAY_MS - 1, DAY_MS, DAY_MS + 9):
        sources.turn(now)
        sources.add(A)
    assert taken(sources) == [(1, 2), (2, 2)]
    assert taken(sources) == []


def test_a_decision_of_yesterday_stays_a_row_of_yesterday() -> None:
    sources = TallySources()
    sources.turn(DAY_MS - 5)
    sources.add(A._replace(event_time=DAY_MS - 9))
    sources.turn(DAY_MS + 5)
    sources.add(A._replace(event_time=DAY_MS - 9))
    days = [row["day"] for tally in sources.take() for row in tally.record("", 0)["arms"]]
    assert days == [0, 0]


def test_a_clock_that_jumps_resumes_no_source() -> None:
    sources = TallySources()
    for day in (3, 2, 3, 2):
        sources.turn(day * DAY_MS)
        sources.add(A)
    assert taken(sources) == [(1, 1), (2, 1), (3, 1), (4, 1)]


def test_a_source_that_has_said_all_is_left_in_silence() -> None:
    sources = TallySources()
    sources.turn(0)
    sources.add(A)
    assert taken(sources) == [(1, 1)]
    sources.turn(DAY_MS)
    sources.turn(2 * DAY_MS)
    assert taken(sources) == [], "idle days begin no sources"
    sources.add(A)
    assert taken(sources) == [(2, 1)]


def test_a_full_table_fits_an_event() -> None:
    """Days and arms as far apart as can be, and each row with a span of its own: the largest table there is."""
    sources = TallySources()
    sources.turn(0)
    far = A._replace(slice="FALLBACK", arm=10**6)
    for day in range(20_000, 20_000 + MOST_ROWS // 2):
        sources.add(far._replace(event_time=day * DAY_MS))
    [full] = sources.take_left()
    assert full.rows == MOST_ROWS
    assert len(CODEC.encode("Tally", full.record("x" * 200, 2**40))) < LARGEST_EVENT


def test_what_nobody_takes_does_not_grow_without_end() -> None:
    sources = TallySources(1, RecentUnits(10))
    for _ in range(MOST_LEFT + 5):
        sources.add(A)
    assert sources.lost == 5
    assert [number for number, _ in taken(sources)] == list(range(6, MOST_LEFT + 6))


def test_names_of_sources_differ() -> None:
    assert [source_name("node", number) for number in (1, 2, 11)] == ["node", "node#2", "node#11"]
