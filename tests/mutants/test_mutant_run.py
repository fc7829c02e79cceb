"""A whole run on a small module: what its tests notice is killed, what they do not notice survives."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

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

folder = Path(sys.argv[1])
sys.path.insert(0, str(folder))
mutant_trial.ALLOWANCE_S = 0.3
target = Target("small_code", folder / "small_code.py", ((sys.argv[2],), (sys.argv[3],)))
baseline = mutant_trial.measure(target.tests, folder / "notes.json")
mutant_trial.make_deterministic()
tried = list(try_all([target], baseline, 2))
print(json.dumps({f"{one.mutant.line} {one.mutant.key.after}": [one.verdict, one.stage] for one in tried}))
"""


def test_a_run_tells_killed_timed_out_and_survived_apart(tmp_path: Path) -> None:
    for name, text in (("small_code", CODE), ("test_first", FIRST), ("test_last", LAST), ("conftest", "")):
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    tests = [str(tmp_path / f"test_{name}.py") for name in ("first", "last")]
    command = [sys.executable, "-c", RUN, str(tmp_path), *tests]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    assert json.loads(ended.stdout) == {
        "1 def emptied(numbers, spare=8):": ["survived", None],
        "1 def emptied(numbers, spare=6):": ["survived", None],
        "2 while not numbers:": ["killed", 1],
        "3 pass": ["timed out", None],
        "4 return None": ["killed", 0],
    }
