"""Looks from this machine: at the canary if users are drawn into it, and what is kept when it ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from policy_store.records.store_errors import UnknownCheckpoint
from tests.trimtab.store_commands import StoreCommands


@pytest.fixture
def cli(redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StoreCommands:
    monkeypatch.setenv("TRIMTAB_DATA_DIR", str(tmp_path / "var"))
    made = StoreCommands(redis_url, tmp_path)
    made.put("v1")
    made.put("v2")
    return made


def test_promoting_the_canary_shows_and_keeps_what_it_showed(cli: StoreCommands) -> None:
    cli.run("policy", "promote", "v1", "--to", "canary", "--by", "ada")
    shown = cli.run("policy", "promote", "canary", "--to", "stable", "--by", "ada", "--reason", "fine for a week")
    assert "channel:stable → v1" in shown
    assert "canary is undecided at this look" in shown
    [release] = cli.json("experiment", "releases")
    assert (release["version"], release["ended"], release["by"], release["users"]) == ("v1", "promoted", "ada", 0)
    assert release["reason"] == "fine for a week"
    listed = cli.run("experiment", "releases")
    assert "v1" in listed and "repin: offline unknown, online unknown" in listed
    assert cli.json("policy", "verify")[0]["problem"] is None


def test_promoting_what_is_no_canary_keeps_nothing(cli: StoreCommands) -> None:
    cli.run("policy", "promote", "v1", "--to", "canary", "--by", "ada")
    assert "at this look" not in cli.run("policy", "promote", "v2", "--to", "stable", "--by", "ada")
    assert cli.json("experiment", "releases") == []


def test_a_person_withdraws_the_canary(cli: StoreCommands) -> None:
    with pytest.raises(UnknownCheckpoint):
        cli.run("policy", "withdraw", "--by", "ada")
    cli.run("policy", "promote", "v1", "--to", "canary", "--by", "ada")
    assert "v1 is the canary no longer" in cli.run("policy", "withdraw", "--by", "ada", "--reason", "sessions fell")
    rows = {each["channel"]: each for each in cli.json("policy", "status")["channels"]}
    assert (rows["canary"]["state"], rows["canary"]["reason"]) == ("withdrawn", "sessions fell")
    assert "withdrawn" in cli.run("policy", "status")
    assert cli.json("policy", "history", "channel:canary")[0]["withdrawn"] is True
    assert cli.json("experiment", "releases")[0]["ended"] == "withdrawn"
    with pytest.raises(UnknownCheckpoint):
        cli.run("policy", "withdraw", "--by", "ada")


def test_a_concluded_experiment_keeps_the_checkpoints_of_its_arms(cli: StoreCommands) -> None:
    arms = ("--arm", "new,version=v2", "--arm", "bold,alpha=0.9")
    cli.run("experiment", "start", "sweep", *arms, "--share", "0.2", "--by", "ada")
    cli.run("experiment", "conclude", "sweep", "--verdict", "stopped", "--by", "ada")
    [release] = cli.json("experiment", "releases")
    assert (release["version"], release["experiment"], release["arm"]) == ("v2", "sweep", "new")
    assert release["ended"] == "concluded"


def test_what_cannot_be_read_does_not_keep_people_from_deciding(cli: StoreCommands, tmp_path: Path) -> None:
    cli.run("policy", "promote", "v1", "--to", "canary", "--by", "ada")
    folder = tmp_path / "var" / "learner" / cli.name / "examples"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("damaged", encoding="utf-8")
    assert "v1 is the canary no longer" in cli.run("policy", "withdraw", "--by", "ada")
    assert cli.json("experiment", "releases") == []
