"""Freezes the code of a released version: `python -m tests.upgrades.freeze_code VERSION COMMIT`.

Run it once for a version, like `tests.upgrades.freeze`. The archive has the packages of the wheel and nothing else, and
is the same for the same commit.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
import tomllib
import zipfile

from tests.upgrades.frozen_code import FrozenCode

LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The time of every file in the archive, the earliest that the format knows."""


def freeze_code(version: str, commit: str) -> None:
    """Write code.zip and code.json; raises FileExistsError when there is one, ValueError for another version."""
    code = FrozenCode(version)
    project = tomllib.loads(_git("show", f"{commit}:pyproject.toml").decode())
    if project["project"]["version"] != version:
        raise ValueError(f"{commit} is version {project['project']['version']}")
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    tree = io.BytesIO(_git("archive", "--format=tar", commit, *packages))
    with code.archive.open("xb") as file, zipfile.ZipFile(file, "w") as archive, tarfile.open(fileobj=tree) as files:
        for member in sorted((each for each in files if each.isfile()), key=lambda each: each.name):
            content = files.extractfile(member)
            assert content is not None
            entry = zipfile.ZipInfo(member.name, LONG_AGO)
            archive.writestr(entry, content.read(), zipfile.ZIP_DEFLATED, 9)
    stated = {"commit": _git("rev-parse", commit).decode().strip(), "sha256": code.sha256}
    code.notes.write_text(json.dumps(stated, indent=1) + "\n", encoding="utf-8")


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], check=True, capture_output=True).stdout


if __name__ == "__main__":
    freeze_code(*sys.argv[1:])
