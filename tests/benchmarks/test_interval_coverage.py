"""A few cells of the study, with fixed seeds: they fail if intervals stop covering, or stop answering."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import typer

from benchmarks.coverage_worlds import CoverageWorld
from benchmarks.interval_coverage import failures, grid, largest_error, main, measure, newest_runs, study

LOGS = 4000
CELLS = (
    CoverageWorld(0.004, 1000),
    CoverageWorld(0.02, 1000, "uneven"),
    CoverageWorld(0.05, 1000, "shared"),
    CoverageWorld(0.2, 50),
    CoverageWorld(0.1, 200, factor=9.7, types=(1.0,)),
    CoverageWorld(0.2, 200, "even", 10),
    CoverageWorld(0.02, 1000, "uneven", rewards="counts"),
    CoverageWorld(0.05, 1000, "shared", rewards="ratings"),
)


@pytest.mark.parametrize(
    "world", CELLS, ids=lambda world: f"{world.rate}-{world.ess}-{world.weights}-{world.per_user}-{world.rewards}"
)
def test_every_interval_meets_its_bars_in_this_cell(world: CoverageWorld) -> None:
    found = measure(world, LOGS, 0.95, seed=4)
    assert list(failures([{"world": asdict(world), "intervals": found}], 0.95, LOGS)) == []
    limit = largest_error(0.95, LOGS)
    for each in found:
        assert max(each["above_all"], each["below_all"]) <= limit, f"{each['name']} errs where it does not answer"
    assert max(each["plain_below"] for each in found) > limit, "the delta method fails here"


@pytest.mark.parametrize("world", [CoverageWorld(0.004, 1000), CoverageWorld(0.1, 200, factor=9.7, types=(1.0,))])
def test_reward_at_hit_meets_its_bars_in_this_cell(world: CoverageWorld) -> None:
    found = measure(world, LOGS, 0.95, 4, "hits")
    assert [each["name"] for each in found] == ["reward_at_hit"]
    assert list(failures([{"world": asdict(world), "intervals": found}], 0.95, LOGS)) == []
    assert max(found[0]["above_all"], found[0]["below_all"]) <= largest_error(0.95, LOGS)
    assert max(found[0]["plain_above"], found[0]["plain_below"]) > largest_error(0.95, LOGS), "the delta method fails"


def test_what_misses_a_bar_is_named() -> None:
    found = measure(CELLS[1], 100, 0.95, seed=4)[0]
    bad = found | {"above": 0.2, "answered": 0.5, "expected": 200.0, "freedom": 90.0, "width": 1.3}
    missed = list(failures([{"world": asdict(CELLS[1]), "intervals": [bad]}], 0.95, 100))
    assert [part in line for part, line in zip(("above", "answered in", "as wide"), missed, strict=True)] == [True] * 3


def test_the_grids_have_what_they_promise() -> None:
    binary = grid("binary")
    for group in ("binary", "counts", "ratings"):
        worlds = grid(group)
        assert {world.rate for world in worlds} >= {0.004, 0.02, 0.05, 0.2}
        assert {world.ess for world in worlds} == {50, 200, 1000, 10_000}
        assert {world.per_user for world in worlds} == {1, 10, 50}
        assert {world.weights for world in worlds} == {"even", "uneven", "shared"}
        assert {world.rewards for world in worlds} == {group}
        assert len(set(worlds)) == len(worlds)
    assert len(binary) == 142
    assert {(world.per_user, world.rewards) for world in grid("hits")} == {(1, "binary")}
    assert {world.weights for world in grid("hits")} == {"even", "shared"}


def test_processes_do_not_change_the_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    worlds = [CoverageWorld(0.2, 50), CoverageWorld(0.2, 60)]
    monkeypatch.setattr("benchmarks.interval_coverage.grid", lambda _: worlds)
    one, two = (study("binary", 200, 0.95, 1, processes) for processes in (1, 2))
    assert one == two
    assert one[0]["intervals"] == measure(worlds[0], 200, 0.95, 1)


def test_a_group_is_counted_alone_and_the_page_has_the_newest_of_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmarks.interval_coverage.grid", lambda _: list(CELLS[:1]))
    page, figures = tmp_path / "page", tmp_path / "interval_coverage.jsonl"
    main(100, 1, 0.95, 1, ["binary"], page, tmp_path, False)
    assert "`binary`" in page.read_text()
    assert "`hits`" not in page.read_text()
    main(120, 1, 0.95, 1, ["hits"], page, tmp_path, False)
    assert "100 logs each, seed 1" in " ".join(page.read_text().split())
    assert "120 logs each, seed 1" in " ".join(page.read_text().split())
    assert list(newest_runs(tmp_path)) == ["binary", "hits"]
    assert figures.read_text().count("\n") == 2
    without_group = json.loads(figures.read_text().splitlines()[0]) | {"replications": 130}
    del without_group["group"]
    figures.write_text(figures.read_text() + json.dumps(without_group) + "\n")
    assert newest_runs(tmp_path)["binary"]["replications"] == 130
    with pytest.raises(typer.BadParameter, match="the groups are binary, counts, ratings, hits"):
        main(100, 1, 0.95, 1, ["boxes"], page, tmp_path, False)
