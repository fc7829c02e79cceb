"""The code of each released version is what was frozen, and runs beside the code of today."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.upgrades import frozen_code
from tests.upgrades.frozen_code import FrozenCode
from tests.upgrades.frozen_set import FrozenSet, frozen_sets

LARGEST = 1_000_000
ASKED = """
import json, trimtab
from event_schemas.registry import Registry
examples = [entry.version for entry in Registry.bundled().entries() if entry.name == "Example"]
print(json.dumps({"from": trimtab.__file__, "examples": examples}))
"""


def test_the_archive_is_the_one_that_was_frozen_and_small(frozen: FrozenSet) -> None:
    code = FrozenCode(frozen.version)
    assert code.sha256 == code.stated["sha256"]
    assert frozen.facts["written_by"].split("commit ")[1][:7] == code.stated["commit"][:7]
    assert code.archive.stat().st_size <= LARGEST
    with zipfile.ZipFile(code.archive) as archive:
        packages = {name.partition("/")[0] for name in archive.namelist()}
    assert {"trimtab", "serving_agent", "stream_processors", "learner"} <= packages
    assert not packages & {"tests", "docs", "benchmarks"}


def test_a_process_of_a_release_runs_its_own_code_only(tmp_path: Path) -> None:
    assert [frozen.version for frozen in frozen_sets()] == ["0.1.0"]
    code = FrozenCode("0.1.0").extract(tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(code)}
    answer = subprocess.run(
        [sys.executable, "-P", "-c", ASKED], env=environment, check=True, capture_output=True, timeout=60
    )
    assert json.loads(answer.stdout) == {"from": str(code / "trimtab" / "__init__.py"), "examples": [1]}


def test_an_archive_that_has_changed_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "0.1.0").mkdir()
    for file in (FrozenCode("0.1.0").archive, FrozenCode("0.1.0").notes):
        shutil.copy(file, tmp_path / "0.1.0")
    monkeypatch.setattr(frozen_code, "DATA", tmp_path)
    code = FrozenCode("0.1.0")
    with zipfile.ZipFile(code.archive, "a") as archive:
        archive.writestr("added", "")
    with pytest.raises(ValueError, match="changed since it was frozen"):
        code.extract(tmp_path / "code")
    assert not (tmp_path / "code").exists()
