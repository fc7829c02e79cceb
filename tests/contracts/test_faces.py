"""A package with sub-packages is used through their faces: what their `__init__` names, which is what others need."""

from __future__ import annotations

from importlib import import_module

import pytest

import trimtab
from docs.package_page import WINGED
from tests.contracts.shipped_code import ROOT, ShippedCode


@pytest.fixture(scope="package")
def across(shipped_code: ShippedCode) -> list[tuple[str, str, str]]:
    """Every import from a package with faces by another one: who imports, from which module, which name."""
    return [
        (importer, module, name)
        for importer, found in shipped_code.modules.items()
        for module, name in sorted(found.imported)
        if module.split(".")[0] in WINGED and module.split(".")[0] != importer.split(".")[0]
    ]


def test_other_packages_import_from_faces_only(across: list[tuple[str, str, str]]) -> None:
    deep = [f"{importer}: {name} from {module}" for importer, module, name in across if module.count(".") > 1]
    assert deep == [], "import it from the sub-package, and name it in `__all__` there"


def test_a_face_names_what_other_packages_use_and_no_more(across: list[tuple[str, str, str]]) -> None:
    used = {(module, name) for _, module, name in across} | {(module, name) for name, module in trimtab.PUBLIC.items()}
    for init in sorted(path for package in WINGED for path in (ROOT / package).glob("*/__init__.py")):
        face = ".".join(init.parent.relative_to(ROOT).parts)
        named: list[str] = getattr(import_module(face), "__all__", [])
        assert named == sorted(named), face
        assert set(named) == {name for module, name in used if module == face}, face
