"""The table says what happened, and what is wrong with a row that did not pass."""

from __future__ import annotations

import io
import json
from pathlib import Path

from rich.console import Console

from tests.chaos.fault_table import COLUMNS, cells, complaints, markdown, passed, print_table, word, write
from tests.chaos.verdict_samples import GOOD, INVALID, WRONG


def test_a_row_holds_what_the_columns_say() -> None:
    row = dict(zip(COLUMNS, cells(GOOD), strict=True))
    assert row["fault"] == "a worker killed"
    assert row["events"] == "12,345"
    assert row["second copies"] == "7"
    assert row["recovery s"] == "2.3"
    assert row["verdict"] == "exact"


def test_only_exact_runs_whose_faults_were_real_pass() -> None:
    assert [word(verdict) for verdict in (GOOD, WRONG, INVALID)] == ["exact", "WRONG", "invalid"]
    assert passed([GOOD])
    assert not passed([GOOD, WRONG])
    assert not passed([GOOD, INVALID])


def test_complaints_name_schedule_and_fault() -> None:
    assert complaints([GOOD, WRONG, INVALID]) == [
        "wrong: example r1 is missing",
        "invalid: not proved: worker-1 killed: exit code 1",
    ]


def test_the_table_is_printed_and_written(tmp_path: Path) -> None:
    output = io.StringIO()
    print_table([GOOD, WRONG], Console(file=output, width=200))
    assert "example r1 is missing" in output.getvalue()
    write([GOOD, INVALID], tmp_path / "new")
    content = json.loads((tmp_path / "new" / "chaos.json").read_text(encoding="utf-8"))
    assert [(row["name"], row["exact"], row["valid"]) for row in content] == [
        ("worker-killed", True, True),
        ("invalid", True, False),
    ]
    text = (tmp_path / "new" / "chaos.md").read_text(encoding="utf-8")
    assert text == markdown([GOOD, INVALID])
    assert "- NOT PROVED: worker-1 killed: exit code 1" in text
    assert "Fates: 12000 joined." in text
