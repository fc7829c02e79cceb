"""The constants that ship meet the targets, and the search draws others around them."""

import json

import typer
from typer.testing import CliRunner

from benchmarks.world_calibration import Targets, candidates, figures_of, main, shaped
from simulator.worlds.named_worlds import world


def test_the_shipped_constants_meet_every_target() -> None:
    figures = figures_of(shaped({}))
    assert Targets().missed(figures) == [] and figures["gap"] >= 1


def test_a_world_without_differences_misses_them() -> None:
    null = world("null").shape
    assert null is not None
    missed = Targets().missed(figures_of(null, requests=200))
    assert {"chosen", "traded", "degrading", "cohorts"} <= set(missed)


def test_constants_are_drawn_by_the_seed_and_the_shipped_ones_come_first() -> None:
    first, again, other = (list(candidates(seed, 2)) for seed in (1, 1, 2))
    assert first == again != other and first[0] == {} and len(first) == 3
    assert shaped(first[1]).gain == first[1]["gain"]


def test_the_search_reports_the_shipped_constants() -> None:
    app = typer.Typer()
    app.command()(main)
    told = CliRunner().invoke(app, ["--tries", "0", "--versions", "1", "--json"], catch_exceptions=False)
    assert json.loads(told.stdout)["shipped"]["missed"] == []
