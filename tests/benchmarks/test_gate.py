"""The study of the gate from end to end, in few runs."""

import json
from pathlib import Path

import pytest

from benchmarks import gate
from benchmarks.gate_rules import rules
from benchmarks.gate_worlds import GateWorld

RULE = {"rule": "shipped, hold-out of 14 days", "error": 0.04, "rows": 1.27, "fresh": 18.0, "after": 23.0}
WORLD = {"name": "+30%", "holdout": 14, "wrong": 0.0, "first": 0.8, "foretold": 0.8}


def test_a_run_writes_its_section_and_its_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gate, "worlds", lambda: [GateWorld("tiny", (0.3, 0.3), 500, arms=5, production=0.25)])
    monkeypatch.setattr(gate, "rules", lambda: {name: rules()[name] for name in (str(RULE["rule"]),)})
    page = tmp_path / "results.md"
    gate.main(20, 100, 1, 1, page, tmp_path, as_json=True)
    assert json.loads(capsys.readouterr().out)["runs"] == 20
    assert "| tiny | 7 d | 1,000 |" in page.read_text()
    figures = json.loads((tmp_path / "gate.jsonl").read_text())
    assert figures["worlds"][0]["name"] == "tiny" and figures["rules"][0]["rule"] == RULE["rule"]
    assert {"seed", "commit"} <= set(figures)


def test_the_planned_worlds_have_the_rows_that_are_asked_for() -> None:
    planned = gate.planned(0.3, 14)
    assert planned.rows == pytest.approx(9_440, rel=0.02)
    assert gate.planned(0.3, 7).rows == pytest.approx(2 * planned.rows)


@pytest.mark.parametrize(
    ("rule", "world", "said"),
    [
        ({}, {}, None),
        ({"error": 0.06}, {}, "an error of 0.0600"),
        ({"rows": 1.4}, {}, "1.40 times the rows"),
        ({"after": 40.0}, {}, "2.22 times the days"),
        ({"rule": "another", "error": 0.5}, {}, None),
        ({}, {"wrong": 0.07}, "wrong in 0.0700"),
        ({}, {"first": 0.7}, "foretold 0.80"),
        ({}, {"first": 0.1, "foretold": None}, None),
    ],
)
def test_what_misses_a_bar_is_said(rule: dict[str, object], world: dict[str, object], said: str | None) -> None:
    found = list(gate.failures([RULE | rule], [WORLD | world], 0.065))
    assert (said is None and not found) or (said is not None and said in found[0])
