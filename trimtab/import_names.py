"""Checks that the names Trimtab imports are its own packages, before any of them is imported.

The packages lie at the root of an installation (`producers`, `monitoring`, …), where a module of the user's may have
the same name; decision 0015 says why. A package is Trimtab's own when it lies beside `trimtab`: in site-packages, in a
source checkout, in a zip file. Nothing is imported to find out. `event_schemas` may be shadowed too, so the error is no
TrimtabError.

ImportError
└── ShadowedImport   a name leads to a module that is not Trimtab's
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

PACKAGES = (
    "event_schemas",
    "producers",
    "stream_processors",
    "learner",
    "policy_store",
    "serving_agent",
    "feature_contract",
    "off_policy",
    "drift_detection",
    "simulator",
    "monitoring",
)
OWN = Path(__file__).parent


class ShadowedImport(ImportError):
    """A name that Trimtab imports leads to a module that is not Trimtab's; `what` and `fix` are as in TrimtabError."""

    def __init__(self, shadows: Mapping[str, str]) -> None:
        """`shadows` says what each name leads to."""
        named = ", ".join(f"`{name}` is {where}" for name, where in shadows.items())
        self.what = f"Trimtab's own packages are shadowed: {named}"
        self.fix = (
            f"rename yours; or, if this process does not need them, put {OWN.parent} before them on sys.path and "
            "import trimtab first; or rename nothing: run `trimtab serve` as a process of its own, without yours on "
            "its PYTHONPATH, and call it over HTTP"
        )
        super().__init__(f"{self.what} | fix: {self.fix}", name=next(iter(shadows)))


def require_own_packages() -> None:
    """Raise ShadowedImport where a name leads elsewhere, by `sys.modules` or by the import path as they are now.

    A directory without `__init__.py` hides nothing: Python takes a package that comes later on the path. Neither does a
    package that is missing altogether, which Python itself reports.
    """
    shadows = {name: where for name in PACKAGES if (where := _shadow_of(name)) is not None}
    if shadows:
        raise ShadowedImport(shadows)


def _shadow_of(name: str) -> str | None:
    """What the name leads to, None when that is Trimtab's own package or nothing."""
    try:
        spec = find_spec(name)
    except ValueError:  # a module without a spec is in sys.modules: somebody made it by hand
        return f"{getattr(sys.modules.get(name), '__file__', None) or 'a module without a file'}, imported before"
    if spec is None:
        return None
    folders = list(spec.submodule_search_locations or ())
    if any(_lies_beside(OWN, Path(folder)) for folder in folders):
        return None
    return (spec.origin or ", ".join(folders)) + (", imported before" if name in sys.modules else "")


def _lies_beside(own: Path, package: Path) -> bool:
    """Whether both are in one folder, as they are written or behind links: of a package's folder, or above it."""
    return own.parent == package.parent or not _homes(own).isdisjoint(_homes(package))


def _homes(package: Path) -> set[Path]:
    return {package.parent.resolve(), package.resolve().parent}
