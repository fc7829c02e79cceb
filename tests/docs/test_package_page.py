"""The page of packages names every package and sub-package, with the arrows that the import rules allow."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from docs.package_page import packages

ROOT = Path(__file__).parents[2]
PAGE = "\n".join(packages())


def test_every_shipped_package_and_its_sub_packages_are_there() -> None:
    shipped = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    for package in shipped["packages"]:
        assert f"## `{package}`" in PAGE
    for init in ROOT.glob("*/*/__init__.py"):
        package, wing = init.relative_to(ROOT).parts[:2]
        if package in {"producers", "stream_processors", "learner", "policy_store", "serving_agent"}:
            assert f"### `{package}.{wing}`" in PAGE


def test_every_sub_package_says_what_it_reads_and_how_it_fails() -> None:
    for section in re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]:
        text = section.split("\n## ")[0]
        for word in ("eads", "rites", "uarantees", "ails"):
            assert word in text, text.splitlines()[0]


def test_the_arrows_point_down() -> None:
    assert "    worker --> partition\n" in PAGE
    assert "    partition --> worker\n" not in PAGE
