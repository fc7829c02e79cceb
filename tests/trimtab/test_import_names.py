"""Names that lead to other modules than Trimtab's are refused by name; here from a source checkout."""

from __future__ import annotations

import importlib
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

import trimtab
from trimtab.import_names import PACKAGES, ShadowedImport, require_own_packages

ROOT = Path(__file__).parents[2]


def package(folder: Path, name: str) -> Path:
    (folder / name).mkdir()
    file = folder / name / "__init__.py"
    file.touch()
    return file


@pytest.fixture
def not_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that has imported none of them yet."""
    for name in PACKAGES:
        monkeypatch.delitem(sys.modules, name, raising=False)


def test_the_names_are_those_that_ship() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert [*PACKAGES, "trimtab"] == settings["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]


@pytest.mark.usefixtures("not_imported")
def test_a_checkout_is_quiet_and_a_module_before_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    require_own_packages()
    file, single = package(tmp_path, "producers"), tmp_path / "monitoring.py"
    single.touch()
    (tmp_path / "learner").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ShadowedImport) as refused:
        require_own_packages()
    assert refused.value.what == (
        f"Trimtab's own packages are shadowed: `producers` is {file}, `monitoring` is {single}"
    )
    assert f"put {ROOT} before them" in refused.value.fix
    assert "`trimtab serve`" in refused.value.fix
    assert str(refused.value) == f"{refused.value.what} | fix: {refused.value.fix}"
    assert refused.value.name == "producers"


def test_what_was_imported_before_counts_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_own_packages()
    by_hand, found = ModuleType("off_policy"), ModuleType("simulator")
    found.__spec__ = importlib.util.spec_from_file_location("simulator", package(tmp_path, "simulator"))
    monkeypatch.setitem(sys.modules, "off_policy", by_hand)
    monkeypatch.setitem(sys.modules, "simulator", found)
    told = rf"`off_policy` is a module without a file, imported before, `simulator` is {tmp_path}\S+, imported before"
    with pytest.raises(ShadowedImport, match=told):
        require_own_packages()


@pytest.mark.usefixtures("not_imported")
def test_a_folder_of_links_is_the_same_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PACKAGES:
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.syspath_prepend(str(tmp_path))
    require_own_packages()


def test_a_public_name_is_checked_when_it_is_loaded_and_kept_then(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = trimtab.Node
    monkeypatch.setitem(sys.modules, "learner", ModuleType("learner"))
    assert trimtab.Node is kept
    monkeypatch.delitem(vars(trimtab), "Settings", raising=False)
    with pytest.raises(ShadowedImport, match="`learner`"):
        trimtab.Settings  # noqa: B018
