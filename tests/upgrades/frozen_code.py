"""The code of a released version, kept under `data/<version>/` beside what it wrote, and run as processes of its own.

code.zip    the packages of its wheel, byte for byte as they were committed
code.json   the commit, and the SHA-256 of code.zip
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True, slots=True)
class FrozenCode:
    """The code of one version."""

    version: str

    @property
    def archive(self) -> Path:
        return DATA / self.version / "code.zip"

    @property
    def notes(self) -> Path:
        return DATA / self.version / "code.json"

    @property
    def stated(self) -> dict[str, str]:
        """What code.json says: `commit` and `sha256`."""
        stated: dict[str, str] = json.loads(self.notes.read_text(encoding="utf-8"))
        return stated

    @property
    def sha256(self) -> str:
        """Of the archive as it is."""
        return hashlib.sha256(self.archive.read_bytes()).hexdigest()

    def extract(self, directory: Path) -> Path:
        """The code in a folder for PYTHONPATH; raises ValueError when the archive is not the one that was frozen."""
        if self.sha256 != self.stated["sha256"]:
            raise ValueError(f"{self.archive} has changed since it was frozen")
        with zipfile.ZipFile(self.archive) as archive:
            archive.extractall(directory)
        return directory
