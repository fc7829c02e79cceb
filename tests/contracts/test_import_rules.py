"""Stages exchange data only through topics and the policy store: the import rules of pyproject.toml hold."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_import_rules_hold() -> None:
    code = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    ended = subprocess.run(
        [sys.executable, "-c", code, "--no-cache"], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_serving_path_loads_nothing_heavy() -> None:
    code = (
        "import sys; import serving_agent.sidecar.sidecar_app, producers.loggers.decision_logger;"
        "import policy_store.backends.redis_store, trimtab;"
        "heavy = ('torch', 'faust', 'aiokafka', 'polars', 'pyarrow', 'scipy', 'altair');"
        "print([m for m in heavy if m in sys.modules])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stdout.strip() == "[]"
