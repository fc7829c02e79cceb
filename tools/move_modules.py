"""Moves modules into sub-packages and rewrites every mention: imports, dotted names in strings, paths.

`python tools/move_modules.py tools/moves/stream_processors.txt`; each line names a module and where it goes.
Tests move beside them. Run from the root of a clean checkout; `ruff check --fix` and `ruff format` follow.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

FROZEN = ("tests/upgrades/data/", "benchmarks/results/", "tools/", "CHANGELOG.md")
FROM_PACKAGE = re.compile(r"^( *)from (\w+) import (\w+(?:, \w+)*)$", re.M)
TEXT = {".py", ".md", ".toml", ".yml", ".yaml", ".txt", ".cfg", ""}


def main(plan: str) -> None:
    """Move what the plan names and rewrite all tracked text files."""
    moves = dict(line.split() for line in Path(plan).read_text().splitlines() if line and not line.startswith("#"))
    for old, new in moves.items():
        _move(_source(old), _source(new))
        _move(_test(old), _test(new))
    paths = {str(_source(old)): str(_source(new)) for old, new in moves.items()}
    paths |= {str(_test(old)): str(_test(new)) for old, new in moves.items()}
    tests = {_dotted(_test(old)): _dotted(_test(new)) for old, new in moves.items()}
    for name in _tracked():
        if name.startswith(FROZEN) or Path(name).suffix not in TEXT:
            continue
        _rewrite(Path(name), moves | tests, paths)


def _source(module: str) -> Path:
    return Path(module.replace(".", "/") + ".py")


def _test(module: str) -> Path:
    *packages, name = module.split(".")
    return Path("tests", *packages, f"test_{name}.py")


def _dotted(path: Path) -> str:
    return ".".join(path.with_suffix("").parts)


def _move(old: Path, new: Path) -> None:
    if not old.exists():
        sys.stdout.write(f"absent: {old}\n")
        return
    new.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["git", "mv", "-k", str(old), str(new)], check=True)


def _rewrite(path: Path, dotted: dict[str, str], paths: dict[str, str]) -> None:
    text = before = path.read_text()
    text = re.sub(_any_of(paths), lambda found: paths[found[0]], text)
    text = re.sub(_any_of(dotted) + r"(?!/)", lambda found: dotted[found[0]], text)
    text = re.sub(
        r"^( *)from (\w+) import (\w+(?:, \w+)*)$", lambda found: _from_package(found, dotted), text, flags=re.M
    )
    if text != before:
        path.write_text(text)


def _any_of(names: dict[str, str]) -> str:
    return r"(?<![\w./])(?:" + "|".join(sorted(map(re.escape, names), key=len, reverse=True)) + r")(?!\w)"


def _from_package(found: re.Match[str], dotted: dict[str, str]) -> str:
    """`from package import module, module`, a line for each module that moved."""
    indent, package, names = found.groups()
    lines = []
    for name in names.split(", "):
        target = dotted.get(f"{package}.{name}", f"{package}.{name}")
        parent, last = target.rsplit(".", 1)
        lines.append(f"{indent}from {parent} import {last}" + (f" as {name}" if last != name else ""))
    return "\n".join(lines) if any(f"{package}.{name}" in dotted for name in names.split(", ")) else found[0]


def _tracked() -> list[str]:
    return subprocess.check_output(["git", "ls-files"], text=True).split()


if __name__ == "__main__":
    main(sys.argv[1])
