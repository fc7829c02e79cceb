"""A whole run on a small module: what its tests notice is killed, what they do not notice survives."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutants.join_targets import ROOT

CODE = """\
def emptied(numbers, spare=7):
    while numbers:
        numbers.pop()
    return numbers
"""
FIRST = "from small_code import emptied\n\ndef test_it_is_given_back():\n    assert emptied([1]) is not None\n"
LAST = "from small_code import emptied\n\ndef test_all_is_taken_out():\n    assert emptied([1, 2]) == []\n"
RUN = """\
import json, sys
from pathlib import Path
from tests.mutants import mutant_trial
from tests.mutants.join_targets import Target
from tests.mutants.mutant_run import prepare, try_all
from tests.mutants.source_mutants import mutants_of

folder = Path(sys.argv[1])
sys.path.insert(0, str(folder))
mutant_trial.ALLOWANCE_S = 0.3
target = Target("small_code", folder / "small_code.py", ((sys.argv[2],), (sys.argv[3],)))
baseline = mutant_trial.measure(target.tests, folder / "notes.json")
mutant_trial.make_deterministic()
found = mutants_of(target.module, target.path.read_text())
accepted = {mutant.key for mutant in found if mutant.line == int(sys.argv[4])}
tried = list(try_all([target], baseline, 2, accepted))
print(json.dumps({f"{one.mutant.line} {one.mutant.key.after}": [one.verdict, one.stage] for one in tried}))
"""


@pytest.mark.parametrize(("accepted", "condition"), [(0, ["killed", 1]), (2, ["survived", None])])
def test_a_run_tells_killed_timed_out_and_survived_apart_and_spares_the_accepted_the_last_stage(
    tmp_path: Path, accepted: int, condition: list[object]
) -> None:
    for name, text in (("small_code", CODE), ("test_first", FIRST), ("test_last", LAST), ("conftest", "")):
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    tests = [str(tmp_path / f"test_{name}.py") for name in ("first", "last")]
    command = [sys.executable, "-c", RUN, str(tmp_path), *tests, str(accepted)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    assert json.loads(ended.stdout) == {
        "1 def emptied(numbers, spare=8):": ["survived", None],
        "1 def emptied(numbers, spare=6):": ["survived", None],
        "2 while not numbers:": condition,
        "3 pass": ["timed out", None],
        "4 return None": ["killed", 0],
    }
