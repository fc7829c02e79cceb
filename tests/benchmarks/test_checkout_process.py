"""A measured process answers line by line, with the code of its checkout, and its end is told by name."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.checkout_process import BaseUnusable, CheckoutProcess, base_checkout

SCRIPT = """
import json, sys
import told
for line in sys.stdin:
    if line == "stop\\n":
        sys.exit()
    print(json.dumps({"asked": line.strip(), "by": told.NAME, "given": sys.argv[1:]}), flush=True)
"""


def test_it_measures_with_the_code_of_the_checkout_until_it_ends(tmp_path: Path) -> None:
    (tmp_path / "told.py").write_text("NAME = 'the checkout'", encoding="utf-8")
    script = tmp_path / "elsewhere" / "run.py"
    script.parent.mkdir()
    script.write_text(SCRIPT, encoding="utf-8")
    with closing(CheckoutProcess("agent", tmp_path, script, ["a", "b"])) as process:
        for asked in ("one", "two"):
            assert process.measure(asked) == {"asked": asked, "by": "the checkout", "given": ["a", "b"]}
        with pytest.raises(BaseUnusable, match=r"the agent of .* ended"):
            process.measure("stop")


def test_a_base_has_the_packages_that_are_measured(tmp_path: Path) -> None:
    with pytest.raises(BaseUnusable, match="has no folders here and there"):
        base_checkout(tmp_path, ["here", "there"])
    (tmp_path / "here").mkdir()
    assert base_checkout(tmp_path / "here" / "..", ["here"]) == tmp_path
