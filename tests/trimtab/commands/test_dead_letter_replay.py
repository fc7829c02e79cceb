"""`trimtab dead-letters replay`: its options, and what it prints."""

from __future__ import annotations

import pytest

from event_schemas.errors import SettingError
from stream_processors.audit.letter_gathering import LetterChoice
from tests.components.join_bench import JoinBench
from tests.trimtab.commands.test_dead_letters import _fill
from trimtab.commands.dead_letter_replay import choice


def test_options_become_a_choice() -> None:
    assert choice(([], [], []), (None, None), 4) == LetterChoice()
    chosen = choice((["late", "malformed"], ["r1"], [3]), ("3=7", "1970-01-01T00:00:02Z"), 4)
    assert chosen == LetterChoice(
        frozenset({"late", "malformed"}), frozenset({"r1"}), frozenset({3}), start={3: 7}, until=2_000
    )
    assert choice(([], [], []), ("1970-01-01", "9"), 1) == LetterChoice(since=0, end={0: 9})


@pytest.mark.parametrize(
    ("partitions", "span", "named"),
    [([4], (None, None), "--partition"), ([], ("9=1", None), "--from"), ([], (None, "not-a-time"), "--to")],
)
def test_what_cannot_be_meant_is_named(partitions: list[int], span: tuple[str | None, str | None], named: str) -> None:
    with pytest.raises(SettingError, match=named):
        choice(([], [], partitions), span, 4)
    with pytest.raises(SettingError, match="banana"):
        choice((["banana"], [], []), (None, None), 4)


def test_the_table_says_what_was_found_and_the_lines_what_is_left(join_bench: JoinBench) -> None:
    _fill(join_bench)
    done = join_bench.run("dead-letters", "replay", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "dead letters replayed, dry run" in done.stdout
    rows = {name.strip(): count for name, _, count in (line.rpartition(" ") for line in done.stdout.splitlines())}
    assert rows["letters read"] == "3"
    assert rows["foreign: about other topics"] == "3"
    assert rows["would be written"] == "0"
