"""Imports one module from another source than its file."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.abc import MetaPathFinder, SourceLoader
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from pathlib import Path
from types import ModuleType


class MutatedImport(MetaPathFinder):
    """First in `sys.meta_path`, it finds the module `name` with this source; `loaded` tells whether it was imported."""

    def __init__(self, name: str, path: Path, source: str) -> None:
        self._name = name
        self._loader = _MutatedLoader(path, source)
        self.loaded = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of the mutated module; None for every other module, which is then found as usual."""
        if fullname != self._name:
            return None
        self.loaded = True
        return spec_from_loader(fullname, self._loader)


class _MutatedLoader(SourceLoader):
    """Reads no bytecode and writes none: it gives no time of the source."""

    def __init__(self, path: Path, source: str) -> None:
        self._path = path
        self._source = source

    def get_filename(self, fullname: str) -> str:
        return str(self._path)

    def get_data(self, path: str | bytes) -> bytes:
        return self._source.encode()
