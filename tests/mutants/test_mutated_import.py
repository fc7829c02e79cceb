"""A module is imported with another source than its file's; all others as they are."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from tests.mutants.mutated_import import MutatedImport


def test_the_module_and_no_other_comes_from_the_given_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("mutated_one", "untouched_one"):
        (tmp_path / f"{name}.py").write_text("VALUE = 1\n", encoding="utf-8")
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    mutated = MutatedImport("mutated_one", tmp_path / "mutated_one.py", "VALUE = 2\n")
    monkeypatch.setattr(sys, "meta_path", [mutated, *sys.meta_path])
    assert importlib.import_module("untouched_one").VALUE == 1
    assert not mutated.loaded
    module = importlib.import_module("mutated_one")
    assert (module.VALUE, module.__file__, mutated.loaded) == (2, str(tmp_path / "mutated_one.py"), True)
    assert not list(tmp_path.glob("__pycache__/mutated_one*")), "no bytecode of a mutant stays"
    for name in ("mutated_one", "untouched_one"):
        del sys.modules[name]
