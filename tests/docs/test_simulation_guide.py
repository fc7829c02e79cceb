"""The guide to simulation lists the worlds and faults that there are, with the figures that hold."""

import re
from dataclasses import fields
from pathlib import Path

from simulator.worlds.faults import Faults
from simulator.worlds.named_worlds import WORLDS

GUIDE = (Path(__file__).parents[2] / "docs" / "guides" / "simulation.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table under a heading."""
    section = GUIDE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_world_is_listed_in_order() -> None:
    assert [row[0].strip("`") for row in rows("Worlds")] == list(WORLDS)


def test_every_fault_is_listed_with_its_default() -> None:
    told = {name: default for row in rows("Faults") for name, default in named(row)}
    assert told == {
        each.name: f"{each.default:g}" if not isinstance(each.default, str) else each.default for each in fields(Faults)
    }


def named(row: list[str]) -> list[tuple[str, str]]:
    names = re.findall(r"`(\w+)`", row[0])
    return list(zip(names, row[2].split(", "), strict=True))


def test_the_figures_of_homefeed_are_those_of_its_summary() -> None:
    summary = WORLDS["homefeed"].summary
    for figure in ("4.5 %", "3.3 %", "1.2 %", "15 of", "from 0.71 to 0.88", "from 0.21 to 0.58"):
        assert figure in summary and figure in GUIDE.replace("α from", "from"), figure
