"""What an experiment showed, read and written down. `tests/end_to_end/test_online_experiment.py` has the figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from policy_store.records.store_errors import ExperimentRefused, RecordMalformed
from tests.policy_store.foreign_hands import RedisHands
from tests.trimtab.store_commands import StoreCommands


@pytest.fixture
def cli(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StoreCommands:
    monkeypatch.setenv("TRIMTAB_DATA_DIR", str(tmp_path / "var"))
    made = StoreCommands(redis_url, tmp_path)
    made.run("experiment", "start", "sweep", "--arm", "a3,alpha=0.3", "--share", "0.2", "--by", "ada")
    return made


def conclude(cli: StoreCommands, *options: str, name: str = "sweep") -> str:
    return cli.run("experiment", "conclude", name, "--by", "grace", "--reason", "nothing seen", *options)


def test_an_experiment_without_examples_is_read_as_such(cli: StoreCommands) -> None:
    read = cli.json("experiment", "read", "sweep")
    assert (read["id"], read["seen"], read["control"]) == ("sweep", None, "control")
    assert {name: arm["users"] for name, arm in read["arms"].items()} == {"control": 0, "a3": 0}
    assert read["arms"]["a3"]["outcomes"]["repin"]["mean"] is None
    assert "experiment sweep" in cli.run("experiment", "read", "sweep")


def test_a_conclusion_is_in_the_ledger_and_ends_it(cli: StoreCommands) -> None:
    assert "sweep: stopped, entry" in conclude(cli, "--verdict", "stopped")
    assert cli.json("experiment", "list") == []
    [entry] = cli.json("experiment", "ledger")
    assert (entry["id"], entry["verdict"], entry["by"], entry["winner"]) == ("sweep", "stopped", "grace", None)
    assert [arm["means"] for arm in entry["arms"]] == [[None, None], [None, None]]
    assert "sweep       stopped" in cli.run("experiment", "ledger")
    with pytest.raises(ExperimentRefused, match="knows no experiment"):
        conclude(cli, "--verdict", "stopped", name="other")


def test_only_an_adoption_has_a_winner(cli: StoreCommands) -> None:
    with pytest.raises(RecordMalformed, match="winner"):
        conclude(cli, "--verdict", "stopped", "--winner", "a3")
    assert cli.json("experiment", "ledger") == []


def test_nothing_is_judged_where_nothing_is_stored(cli: StoreCommands) -> None:
    for options in (
        ("--verdict", "adopted", "--winner", "a3"),
        ("--verdict", "rejected"),
        ("--verdict", "inconclusive"),
    ):
        with pytest.raises(ExperimentRefused, match="this machine have no request of experiment sweep"):
            conclude(cli, *options)
    assert cli.json("experiment", "ledger") == []
    assert [each["id"] for each in cli.json("experiment", "list")] == ["sweep"]


def test_a_ledger_that_was_altered_is_not_shown(cli: StoreCommands) -> None:
    conclude(cli, "--verdict", "stopped")
    cli.run("experiment", "start", "next", "--arm", "a3,alpha=0.3", "--share", "0.2", "--by", "ada")
    conclude(cli, "--verdict", "stopped", name="next")
    store = cli.store()
    hands = RedisHands(store, cli.redis_url)
    hands.raw.rpop(hands.keys.history("ledger"))
    with pytest.raises(Exception, match="does not follow"):
        cli.run("experiment", "ledger")
