"""A module of the user's that takes a name of ours is refused clearly, and what takes none is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.packaging.fresh_environment import FreshEnvironment
from trimtab.import_names import PACKAGES

LOADS = "import trimtab; trimtab.TrimtabError; print('loaded')"


def refusal(installed: FreshEnvironment, code: str, cwd: Path, **variables: str) -> str:
    """What the interpreter says at its end, which is the refusal."""
    done = installed.run("-c", code, cwd=cwd, **variables)
    assert done.returncode == 1, done.stdout
    last = done.stderr.splitlines()[-1]
    assert last.startswith("trimtab.import_names.ShadowedImport: Trimtab's own packages are shadowed: "), done.stderr
    return last


def loads(installed: FreshEnvironment, code: str, cwd: Path, **variables: str) -> bool:
    done = installed.run("-c", code, cwd=cwd, **variables)
    assert done.returncode == 0, done.stderr
    return done.stdout == "loaded\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The user's directory, with a package and a module that take names of ours."""
    (tmp_path / "producers").mkdir()
    (tmp_path / "producers" / "__init__.py").touch()
    (tmp_path / "monitoring.py").write_text("THEIRS = 1\n", encoding="utf-8")
    return tmp_path


def test_each_taken_name_is_told_with_its_file_and_the_ways_out(installed: FreshEnvironment, folder: Path) -> None:
    told = refusal(installed, "import trimtab", folder)
    assert f"`producers` is {folder}/producers/__init__.py, `monitoring` is {folder}/monitoring.py | fix: " in told
    assert "rename yours" in told
    assert f"put {installed.packages} before them on sys.path" in told
    assert "`trimtab serve`" in told


@pytest.mark.parametrize("name", PACKAGES)
def test_any_name_may_be_taken(installed: FreshEnvironment, tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.py").touch()
    assert f"`{name}` is {tmp_path}/{name}.py |" in refusal(installed, "import trimtab", tmp_path)


def test_what_was_imported_before_is_told(installed: FreshEnvironment, folder: Path) -> None:
    code = "import sys, monitoring; sys.path.remove(''); import trimtab"
    told = refusal(installed, code, folder)
    assert f"shadowed: `monitoring` is {folder}/monitoring.py, imported before |" in told


def test_a_path_that_changes_later_is_noticed_at_the_next_name(installed: FreshEnvironment, folder: Path) -> None:
    apart = folder / "apart"
    apart.mkdir()
    code = f"import sys, trimtab; trimtab.TrimtabError; sys.path.insert(0, {str(folder)!r}); trimtab.Node"
    assert f"`monitoring` is {folder}/monitoring.py" in refusal(installed, code, apart)


def test_ours_first_on_the_path_is_a_way_out(installed: FreshEnvironment, folder: Path) -> None:
    assert loads(installed, LOADS, folder, PYTHONSAFEPATH="1", PYTHONPATH=f"{installed.packages}:{folder}")


def test_a_process_of_its_own_is_a_way_out(installed: FreshEnvironment, folder: Path) -> None:
    done = installed.script("trimtab", "serve", "--help", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "--node-id" in done.stdout


def test_a_plain_directory_takes_no_name(installed: FreshEnvironment, tmp_path: Path) -> None:
    for name in PACKAGES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "notes.txt").touch()
    assert loads(installed, LOADS, tmp_path)


def test_a_plain_directory_that_was_imported_before_does(installed: FreshEnvironment, tmp_path: Path) -> None:
    (tmp_path / "monitoring").mkdir()
    code = "import sys; found = sys.path[1:]; del sys.path[1:]; import monitoring; sys.path += found; import trimtab"
    assert f"`monitoring` is {tmp_path}/monitoring, imported before" in refusal(installed, code, tmp_path)


def test_a_zip_file_holds_its_own_packages(installed: FreshEnvironment, folder: Path) -> None:
    apart = folder / "apart"
    apart.mkdir()
    zipped = f"import sys; sys.path.insert(0, {str(installed.wheel)!r})"
    assert loads(installed, f"{zipped}; {LOADS}; assert '.whl/' in trimtab.__file__", apart)
    told = refusal(installed, f"{zipped}; sys.path.insert(0, {str(folder)!r}); import trimtab", apart)
    assert f"put {installed.wheel} before them" in told


def test_links_to_the_packages_are_the_packages(installed: FreshEnvironment, tmp_path: Path) -> None:
    for name in (*PACKAGES, "trimtab"):
        (tmp_path / name).symlink_to(installed.packages / name)
    assert loads(installed, LOADS, tmp_path)
    (tmp_path / "trimtab").unlink()
    assert loads(installed, LOADS, tmp_path)
