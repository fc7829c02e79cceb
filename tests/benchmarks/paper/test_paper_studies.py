"""A small replication from the log to the figures; studies end in time, and each finding's figures are there."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from benchmarks.paper.paper_page import write_page
from benchmarks.paper.paper_sizes import PaperSizes
from benchmarks.paper.paper_studies import (
    FINDINGS,
    controls_run,
    figures_of,
    homefeed_figures,
    homefeed_run,
    results_in_time,
    studies_of,
)
from benchmarks.paper.replication import Replication


@pytest.fixture(scope="module")
def run(replication: Replication) -> Iterator[dict[str, Any]]:
    yield homefeed_figures(replication, 1.0)


def test_a_replication_gives_the_figures_of_four_findings(run: dict[str, Any], tiny_sizes: PaperSizes) -> None:
    assert len(run["points"]["offline"]) == len(run["points"]["online"]) == 9
    assert abs(run["rows"]["online"] - tiny_sizes.online) < 150  # half of twice as many requests
    for table in run["trade_off"]:
        place = round(table["alpha"] * 8)
        assert table["online"] == run["points"]["online"][place]
    assert json.loads(json.dumps(run, allow_nan=False)) == run


def test_the_page_shows_what_was_run(run: dict[str, Any], tmp_path: Any) -> None:
    figures = figures_of(FINDINGS, [run, run], [])
    assert list(figures) == ["agreement", "trade_off", "cohorts", "personalisation"]
    assert list(figures_of(["cohorts"], [run], [])) == ["cohorts"]
    origin = {"command": "make paper", "date": "2024-01-01", "commit": "abc", "full": False, "not_run": ["a seed"]}
    sizes = {"learner": "linear"}
    write_page(
        tmp_path / "page",
        origin | {"sizes": sizes, "rows": [run["rows"]], "cpu_s": {"online": 2.0}, "figures": figures},
    )
    text = (tmp_path / "page").read_text()
    assert "Planned and not run: a seed." in text and "### 3. Table 2" in text and "### 7." not in text
    assert max(len(line) for line in text.splitlines() if not line.startswith("|")) <= 120


def test_findings_of_the_homefeed_share_its_runs() -> None:
    assert studies_of(["cohorts", "agreement"], 2) == [(homefeed_run, 1), (homefeed_run, 2)]
    assert studies_of(["controls"], 1) == [(controls_run, 1)]
    assert [study for study, _ in studies_of(FINDINGS, 1)] == [homefeed_run, controls_run]


def test_no_study_is_begun_after_the_time(tiny_sizes: PaperSizes) -> None:
    def seed_alone(seed: int, sizes: PaperSizes) -> dict[str, Any]:
        return {"seed": seed, "users": sizes.users}

    with ThreadPoolExecutor(1) as pool:
        asked = [(seed_alone, 1), (seed_alone, 2)]
        assert list(results_in_time(pool, asked, tiny_sizes, 1, 0.0)) == []
        found = list(results_in_time(pool, asked, tiny_sizes, 1, 9.0))
    assert [run for _, run in found] == [{"seed": 1, "users": 60}, {"seed": 2, "users": 60}]
