"""The file of accepted survivors, and what a run is compared with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants.accepted_survivors import Comparison, SurvivorsBroken, compare, entries, read_survivors
from tests.mutants.source_mutants import MutantKey


def key(after: str, module: str = "m", nth: int = 1) -> MutantKey:
    return MutantKey(module, "f", "a < 'b'", after, nth)


def test_entries_are_read_as_they_were_written(tmp_path: Path) -> None:
    reasons = {key("a <= 'b'"): "equal", key("a >= 'b'"): "equal", key("pass", nth=2): 'only "speed"'}
    path = tmp_path / "survivors.toml"
    path.write_text(entries(reasons), encoding="utf-8")
    assert read_survivors(path) == reasons
    assert path.read_text(encoding="utf-8").count("[[survivor]]") == 2


@pytest.mark.parametrize("text", ["[[survivor]]\nmodule = 'm'\n", entries({key("pass"): " "})])
def test_an_entry_without_all_fields_or_a_reason_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "survivors.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SurvivorsBroken, match=r"has the entry"):
        read_survivors(path)


def test_a_mutant_has_one_reason(tmp_path: Path) -> None:
    path = tmp_path / "survivors.toml"
    path.write_text(entries({key("pass"): "one"}) + entries({key("pass"): "two"}), encoding="utf-8")
    with pytest.raises(SurvivorsBroken, match=r"twice: m f: a < 'b' -> pass"):
        read_survivors(path)


def test_the_committed_file_can_be_read() -> None:
    assert all(reason for reason in read_survivors().values())


def test_a_run_is_compared_with_the_entries_of_its_modules() -> None:
    tried = {key("1"): True, key("2"): True, key("3"): False, key("4"): False}
    accepted = [key("1"), key("3"), key("5"), key("6", module="another")]
    assert compare(tried, accepted) == Comparison(unexplained=[key("2")], killed=[key("3")], gone=[key("5")])
