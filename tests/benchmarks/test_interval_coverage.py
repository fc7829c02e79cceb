"""A few cells of the study, with fixed seeds: they fail if intervals stop covering, or stop answering."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from benchmarks.coverage_worlds import CoverageWorld
from benchmarks.interval_coverage import failures, grid, largest_error, main, measure, study

LOGS = 4000
CELLS = (
    CoverageWorld(0.004, 1000),
    CoverageWorld(0.02, 1000, "uneven"),
    CoverageWorld(0.05, 1000, "shared"),
    CoverageWorld(0.2, 50),
    CoverageWorld(0.1, 200, factor=9.7, types=(1.0,)),
    CoverageWorld(0.2, 200, "even", 10),
)


@pytest.mark.parametrize("world", CELLS, ids=lambda world: f"{world.rate}-{world.ess}-{world.weights}-{world.per_user}")
def test_every_interval_meets_its_bars_in_this_cell(world: CoverageWorld) -> None:
    found = measure(world, LOGS, 0.95, seed=4)
    assert list(failures([{"world": asdict(world), "intervals": found}], 0.95, LOGS)) == []
    limit = largest_error(0.95, LOGS)
    for each in found:
        assert max(each["above_all"], each["below_all"]) <= limit, f"{each['name']} errs where it does not answer"
    assert max(each["plain_below"] for each in found) > limit, "the delta method fails here"


def test_what_misses_a_bar_is_named() -> None:
    found = measure(CELLS[1], 100, 0.95, seed=4)[0]
    bad = found | {"above": 0.2, "answered": 0.5, "expected": 200.0, "freedom": 90.0, "width": 1.3}
    missed = list(failures([{"world": asdict(CELLS[1]), "intervals": [bad]}], 0.95, 100))
    assert [part in line for part, line in zip(("above", "answered in", "as wide"), missed, strict=True)] == [True] * 3


def test_the_grid_has_what_it_promises() -> None:
    worlds = grid()
    assert {world.rate for world in worlds} >= {0.004, 0.02, 0.05, 0.2}
    assert {world.ess for world in worlds} == {50, 200, 1000, 10_000}
    assert {world.per_user for world in worlds} == {1, 10, 50}
    assert len(set(worlds)) == len(worlds)


def test_processes_do_not_change_the_counts() -> None:
    worlds = [CoverageWorld(0.2, 50), CoverageWorld(0.2, 60)]
    one, two = (study(worlds, 200, 0.95, 1, processes) for processes in (1, 2))
    assert one == two
    assert one[0]["intervals"] == measure(worlds[0], 200, 0.95, 1)


def test_the_command_writes_page_and_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.interval_coverage.grid", lambda: list(CELLS[:1]))
    main(100, 1, 0.95, 1, tmp_path / "page", tmp_path, False)
    assert "100 logs each, seed 1" in (tmp_path / "page").read_text()
    assert (tmp_path / "interval_coverage.jsonl").read_text().count("\n") == 1
