"""What users get: all packages with their types, and an example that type checks and runs."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from contextlib import suppress
from pathlib import Path
from zipfile import ZipFile

from tests.components.embedded_log import embedded_broker, read_all
from tests.packaging.fresh_environment import ROOT, FreshEnvironment
from tests.serving_samples import codec

GUIDE = (ROOT / "docs" / "guides" / "in_process_agent.md").read_text(encoding="utf-8")
EXAMPLE, IN_A_LOOP, ECHOING, A_TEST, BY_HAND = re.findall(r"```python\n(.*?)```", GUIDE, flags=re.DOTALL)
A_RANKER = """
from trimtab import Node

def rank(node: Node, user_id: str) -> list[str]:
    weight: float = node.decide(user_id=user_id, context={"surface": "home"}).weights["repin"]
    return [f"pin-{weight}"]
"""
MISTAKES = """
from trimtab import Node

node = Node.from_settings()
node.decide(user="u-17")
node.decide(user_id=17)
node.decide().weight
node.log_engagement("r1")
"""


def test_it_holds_every_package_and_says_that_they_are_typed(installed: FreshEnvironment) -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = settings["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    files = set(ZipFile(installed.wheel).namelist())
    assert {f"{package}/py.typed" for package in packages} <= files
    top_level = {file.partition("/")[0] for file in files}
    assert {name for name in top_level if not name.endswith(".dist-info")} == set(packages)


def test_nothing_of_the_repository_is_in_sight(installed: FreshEnvironment, tmp_path: Path) -> None:
    code = "import json, sys, trimtab, event_schemas as e; print(json.dumps([trimtab.__file__, e.__file__, *sys.path]))"
    done = installed.run("-c", code, cwd=tmp_path)
    ours, vocabulary, *path = json.loads(done.stdout)
    assert Path(ours).parent == installed.packages / "trimtab"
    assert Path(vocabulary).parent == installed.packages / "event_schemas"
    assert str(ROOT) not in path


def test_users_code_is_checked_by_mypy(installed: FreshEnvironment, tmp_path: Path) -> None:
    modules = {
        "example": EXAMPLE,
        "in_a_loop": IN_A_LOOP,
        "echoing": ECHOING,
        "test_ranker": A_TEST,
        "by_hand": BY_HAND,
        "your_ranker": A_RANKER,
        "mistakes": MISTAKES,
    }
    for name, code in modules.items():
        (tmp_path / f"{name}.py").write_text(code, encoding="utf-8")
    known = ROOT / ".mypy_cache"  # what `make typecheck` has read of the dependencies need not be read again
    if known.is_dir():
        with suppress(shutil.Error):  # while it is written, some files have another name by the time they are copied
            shutil.copytree(known, tmp_path / known.name)
    done = installed.run("-m", "mypy", "--strict", "--no-error-summary", ".", cwd=tmp_path)
    found = re.findall(r"^(\w+)\.py:(\d+): error: .*\[([\w-]+)]$", done.stdout, flags=re.MULTILINE)
    mistakes = ["call-arg", "arg-type", "attr-defined", "call-arg"]
    assert found == [("mistakes", str(5 + line), kind) for line, kind in enumerate(mistakes)], done.stdout + done.stderr


def test_the_example_runs(installed: FreshEnvironment, experiment_file: Path, redis_url: str, tmp_path: Path) -> None:
    (tmp_path / "example.py").write_text(EXAMPLE, encoding="utf-8")
    with embedded_broker() as bootstrap:
        done = installed.run(
            "example.py",
            cwd=tmp_path,
            TRIMTAB_EXPERIMENT=str(experiment_file),
            TRIMTAB_KAFKA_BOOTSTRAP=bootstrap,
            TRIMTAB_REDIS_URL=redis_url,
            TRIMTAB_DATA_DIR=str(tmp_path / "var"),
        )
        assert done.returncode == 0, done.stderr
        names = {codec().decode(message.value()).name for message in read_all(bootstrap, "trimtab.events")}
    assert "Engagement" in names
