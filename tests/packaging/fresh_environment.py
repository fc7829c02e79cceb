"""The wheel as users get it: built, and installed where nothing of this repository can be seen."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

from uv import find_uv_bin

ROOT = Path(__file__).parents[2]
SECONDS = 240.0


@dataclass(frozen=True)
class FreshEnvironment:
    """An environment with the wheel and nothing else of ours."""

    wheel: Path
    folder: Path
    packages: Path
    """Its site-packages."""

    def run(self, *arguments: str | Path, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """The end of its interpreter with these arguments, started in `cwd`."""
        return self._run(self.folder / "bin" / "python", *arguments, cwd=cwd, **variables)

    def script(
        self, name: str, *arguments: str | Path, cwd: Path, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """The end of a console script."""
        return self._run(self.folder / "bin" / name, *arguments, cwd=cwd, **variables)

    def _run(self, *command: str | Path, cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "TRIMTAB_"))}
        return subprocess.run(
            [*map(str, command)],
            cwd=cwd,
            env={**kept, **variables},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )


def fresh_environment(folder: Path) -> FreshEnvironment:
    """Builds the wheel and installs it into a new environment below `folder`.

    The dependencies are those of this interpreter, by a path file. Path files among them, such as that of the editable
    install of this repository, are not read then.
    """
    wheel = built_wheel(folder / "dist")
    environment = folder / "environment"
    venv.create(environment, symlinks=True, with_pip=False)
    python = environment / "bin" / "python"
    done = uv("pip", "install", "--offline", "--no-deps", "--python", python, wheel)
    assert done.returncode == 0, done.stderr
    [packages] = environment.glob("lib/python*/site-packages")
    dependencies = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (packages / "dependencies.pth").write_text("\n".join(sorted(dependencies)), encoding="utf-8")
    return FreshEnvironment(wheel, environment, packages)


def built_wheel(folder: Path) -> Path:
    """The wheel of this repository; the build backend comes from uv's cache, where installing put it, or is fetched."""
    command = ("build", "--wheel", "--python", sys.executable, "--out-dir", folder, ROOT)
    done = uv(*command, "--offline")
    if done.returncode:
        done = uv(*command)
    assert done.returncode == 0, done.stderr
    [wheel] = folder.glob("*.whl")
    return wheel


def uv(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The end of a run of uv."""
    command = [find_uv_bin(), "--quiet", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
