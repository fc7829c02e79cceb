"""Figures say where they come from, and processes do not inherit this one's threads."""

import os
import platform
import re

import pytest

from benchmarks.study_run import commit, fresh_processes, origin


def test_the_commit_is_short_and_says_if_files_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    assert re.fullmatch(r"[0-9a-f]{12}\+?|unknown", commit())
    monkeypatch.setattr("benchmarks.study_run.ROOT", "/")
    assert commit() == "unknown"


def test_the_origin_names_date_commit_python_and_seed() -> None:
    found = origin("abc", 7)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", found.pop("date"))
    assert found == {"commit": "abc", "python": platform.python_version(), "seed": 7}


def test_processes_are_others_than_this_one() -> None:
    with fresh_processes(1) as pool:
        assert pool.submit(os.getpid).result() != os.getpid()
