"""A package with sub-packages is used through their faces: what their `__init__` names, which is what others need."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import trimtab

ROOT = Path(__file__).parents[2]
WITH_FACES = ("producers", "stream_processors", "learner", "policy_store", "serving_agent")
SHIPPED = (*WITH_FACES, "event_schemas", "feature_contract", "off_policy", "drift_detection", "monitoring", "simulator")


def imports_across() -> Iterator[tuple[str, str, str]]:
    """Every import from a package with faces by another one: who imports, from which module, which name."""
    for package in (*SHIPPED, "trimtab"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not isinstance(node, ast.ImportFrom) or node.module is None:
                    continue
                if (top := node.module.split(".")[0]) in WITH_FACES and top != package:
                    yield from ((str(path.relative_to(ROOT)), node.module, alias.name) for alias in node.names)


IMPORTS = list(imports_across())


def test_other_packages_import_from_faces_only() -> None:
    deep = [f"{path}: {name} from {module}" for path, module, name in IMPORTS if module.count(".") > 1]
    assert deep == [], "import it from the sub-package, and name it in `__all__` there"


def test_a_face_names_what_other_packages_use_and_no_more() -> None:
    used = {(module, name) for _, module, name in IMPORTS}
    used |= {(module, name) for name, module in trimtab.PUBLIC.items()}
    for package in WITH_FACES:
        for init in sorted((ROOT / package).glob("*/__init__.py")):
            face = f"{package}.{init.parent.name}"
            named = _all_of(init)
            assert named == sorted(named), face
            assert set(named) == {name for module, name in used if module == face}, face


def _all_of(init: Path) -> list[str]:
    for node in ast.parse(init.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__":
            names: list[str] = ast.literal_eval(node.value)
            return names
    return []
