"""`trimtab policy kill`, `resume` and `rebase` as people use them, against a real Redis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from policy_store.records.channel_record import ChannelRecord
from policy_store.records.governed_record import SignedRecord
from policy_store.records.preference_record import PreferenceRecord
from policy_store.records.store_errors import (
    ContractMismatch,
    NothingToRebase,
    RevisionAhead,
    RevisionConflict,
    RoleForbidden,
    SignatureInvalid,
    UnknownKill,
)
from tests.policy_store.control_samples import YEAR_MS, go, stop
from tests.policy_store.foreign_hands import RedisHands
from tests.policy_store.store_samples import LEARNER, PEOPLE, STRANGER
from tests.trimtab.store_commands import StoreCommands


@pytest.fixture
def cli(redis_url: str, tmp_path: Path) -> StoreCommands:
    return StoreCommands(redis_url, tmp_path)


@pytest.fixture
def hands(cli: StoreCommands) -> RedisHands:
    return RedisHands(cli.store(), cli.redis_url)


def kill(cli: StoreCommands, reason: str = "incident 42") -> dict[str, Any]:
    made: dict[str, Any] = cli.json("policy", "kill", "--by", "ada", "--reason", reason)
    return made


def point_in_2036(cli: StoreCommands, hands: RedisHands) -> SignedRecord:
    """What a clock ten years ahead has made of the stable channel."""
    held = hands.store.channel("stable")
    assert held is not None
    record = ChannelRecord.parse(held.record)
    far = record.model_copy(update={"revision": record.revision + 10 * YEAR_MS, "version": "v2", "by": "eve"})
    hands.publish_as_0_1_0("channel:stable", far.signed_by(PEOPLE))
    return far.signed_by(PEOPLE)


def test_kill_status_and_resume(cli: StoreCommands) -> None:
    made = kill(cli)
    assert (made["killed"], made["by"], made["reason"]) == (True, "ada", "incident 42")
    assert "resumes" not in made
    status = cli.json("policy", "status")
    assert status["killed"] is True
    assert [(each["hash"], each["known_to"]) for each in status["open_kills"]] == [(made["hash"], ["the store"])]
    assert made["hash"] in cli.run("policy", "status")
    shown = cli.run("policy", "resume", "--by", "grace")
    assert f"lifts {made['hash']} by ada: incident 42 (known to the store)" in shown
    assert "resumed (revision" in shown
    assert cli.json("policy", "status")["killed"] is False
    assert {row["problem"] for row in cli.json("policy", "verify")} == {None}
    history = cli.json("policy", "history", "control")
    assert [(row["killed"], row.get("resumes")) for row in history] == [(False, [made["hash"]]), (True, None)]


def test_resume_may_name_some_kills_only(cli: StoreCommands) -> None:
    first, second, third = (kill(cli, reason)["hash"] for reason in ("one", "two", "three"))
    shown = cli.run("policy", "resume", "--by", "ada", "--kill", first, "--kill", second)
    assert f"keeps {third} by ada: three" in shown
    assert f"--kill {third}" in shown
    resumed = cli.json("policy", "resume", "--by", "ada", "--kill", first)
    assert resumed["resumes"] == [first]
    assert [each["hash"] for each in resumed["open"]] == [third]
    assert cli.json("policy", "status")["killed"] is True
    with pytest.raises(UnknownKill, match="ab" * 32):
        cli.run("policy", "resume", "--by", "ada", "--kill", "ab" * 32)
    assert [each["hash"] for each in cli.json("policy", "resume", "--by", "ada")["lifted"]] == [third]
    assert cli.json("policy", "status")["killed"] is False


def test_resume_without_a_kill_writes_nothing(cli: StoreCommands) -> None:
    assert "no kill to lift; nothing was written" in cli.run("policy", "resume", "--by", "ada")
    nothing = {"killed": False, "resumes": [], "revision": None, "lifted": [], "open": [], "faults": []}
    assert cli.json("policy", "resume", "--by", "ada") == nothing
    assert cli.store().audit_entries() == []


@pytest.mark.parametrize("fault", ["unread", "unbelieved"])
def test_resume_that_lifts_nothing_though_a_kill_may_hold_is_no_success(
    cli: StoreCommands, hands: RedisHands, fault: str
) -> None:
    if fault == "unread":
        hands.raw.set(hands.keys.kills, "not what belongs here")
    else:
        hands.put("control", stop(5, experiment=cli.name, key=STRANGER).signed)
    said = cli.run("policy", "resume", "--by", "ada", exit_code=1)
    assert "nothing was lifted or written, and a kill may be in force" in said
    assert cli.json("policy", "resume", "--by", "ada", exit_code=1)["faults"] != []
    assert cli.store().audit_entries() == []
    kill(cli)
    cli.run("policy", "resume", "--by", "ada")


def test_kills_that_only_nodes_remember_are_lifted_too(cli: StoreCommands) -> None:
    lost, bare = stop(5, experiment=cli.name), "cd" * 32
    cli.store().heartbeat("n1", {"open_kills": {lost.hash: lost.signed.as_item(), bare: None}}, 60)
    assert cli.json("policy", "status")["killed"] is True
    resumed = cli.json("policy", "resume", "--by", "ada")
    assert resumed["resumes"] == [lost.hash]
    assert [each["hash"] for each in resumed["open"]] == [bare]
    assert cli.json("policy", "resume", "--by", "ada", "--kill", bare)["resumes"] == [bare]


def test_nothing_that_lies_in_the_store_refuses_a_kill(cli: StoreCommands, hands: RedisHands) -> None:
    raw, keys = hands.raw, hands.keys
    hands.publish_as_0_1_0("control", go(2**53 - 1, experiment=cli.name).signed)
    raw.xadd(keys.audit, {"entry": "?", "hash": b"\xff"})
    kill(cli)
    raw.delete(keys.slot("control"), keys.audit, keys.kills)
    for key in (keys.slot("control"), keys.history("control"), keys.kills, keys.resumes, keys.audit, keys.updates):
        raw.delete(key)
        raw.set(key, "not what belongs here")
    kill(cli)
    assert cli.json("policy", "status")["killed"] is True
    cli.run("policy", "resume", "--by", "ada")
    assert cli.json("policy", "status")["killed"] is False


def test_rebase_says_what_it_does_and_leads_back(cli: StoreCommands, hands: RedisHands) -> None:
    for version in ("v1", "v2"):
        cli.put(version)
    cli.run("policy", "promote", "v1", "--to", "stable", "--by", "ada")
    with pytest.raises(NothingToRebase, match="more than an hour ahead"):
        cli.run("policy", "rebase", "--by", "ada")
    with pytest.raises(NothingToRebase):
        cli.run("policy", "rebase", "--by", "ada", "--dry-run")
    far = point_in_2036(cli, hands)
    with pytest.raises(RevisionAhead, match="policy rebase"):
        cli.run("policy", "promote", "v1", "--to", "stable", "--by", "ada")
    dry = cli.run("policy", "rebase", "--by", "ada", "--dry-run")
    assert f"would void {far.hash}\n    channel:stable of 2036" in dry
    assert "by eve (in force)" in dry
    assert "nothing was changed" in dry
    assert cli.store().rebase() is None
    shown = cli.json("policy", "rebase", "--by", "ada", "--reason", "a clock in 2036", "--dry-run")
    assert (shown["dry_run"], [each["hash"] for each in shown["voids"]]) == (True, [far.hash])

    done = cli.run("policy", "rebase", "--by", "ada", "--reason", "a clock in 2036")
    assert f"voids {far.hash}\n    channel:stable of" in done
    assert "re-based (epoch 1)" in done
    assert "decide again on channel:stable" in done
    assert {row["problem"] for row in cli.json("policy", "verify")} == {None}
    assert cli.json("policy", "status")["epoch"] == 1
    assert [row["epoch"] for row in cli.json("policy", "history", "rebase")] == [1]
    cli.run("policy", "promote", "v2", "--to", "stable", "--by", "ada")
    assert cli.json("policy", "rollback", "--by", "ada")["version"] == "v1"
    proposed = cli.json("alpha", "propose", "0.3", "--by", "ada")["proposal_id"]
    cli.run("alpha", "approve", proposed, "--by", "grace")
    kill(cli)
    cli.run("policy", "resume", "--by", "ada")
    assert {row["problem"] for row in cli.json("policy", "verify")} == {None}


def test_a_proposal_over_a_voided_preference_must_be_made_again(cli: StoreCommands, hands: RedisHands) -> None:
    first = cli.json("alpha", "propose", "0.3", "--by", "ada")["proposal_id"]
    record = cli.json("alpha", "approve", first, "--by", "grace")
    held = hands.store.preference()
    assert held is not None
    far = PreferenceRecord.parse(held.record).model_copy(update={"revision": record["revision"] + 10 * YEAR_MS})
    hands.publish_as_0_1_0("preference", far.signed_by(PEOPLE))
    late = cli.json("alpha", "propose", "0.4", "--by", "ada")["proposal_id"]
    cli.run("policy", "rebase", "--by", "ada")
    with pytest.raises(RevisionConflict, match="propose again"):
        cli.run("alpha", "approve", late, "--by", "grace")
    cli.run("alpha", "reject", late, "--by", "grace")
    again = cli.json("alpha", "propose", "0.4", "--by", "ada")["proposal_id"]
    assert cli.json("alpha", "approve", again, "--by", "grace")["default"]["alpha"] == 0.4


def test_nodes_that_remember_the_future_are_named(cli: StoreCommands) -> None:
    far = cli.store().time_ms() + 10 * YEAR_MS
    cli.store().heartbeat("n1", {"epoch": 0, "revisions": {"preference": far}}, 60)
    shown = cli.run("policy", "rebase", "--by", "ada")
    assert "node n1 remembers" in shown
    assert "decide again on preference" in shown


@pytest.mark.parametrize("command", ["kill", "resume", "rebase"])
def test_a_key_nobody_would_believe_stops_and_lifts_nothing(
    cli: StoreCommands, hands: RedisHands, command: str
) -> None:
    cli.put("v1")
    cli.run("policy", "promote", "v1", "--to", "stable", "--by", "ada")
    point_in_2036(cli, hands)
    kill(cli)
    before = hands.backup()
    cli.signing_key = LEARNER.secret_text()
    with pytest.raises(RoleForbidden):
        cli.run("policy", command, "--by", "ada")
    cli.signing_key = STRANGER.secret_text()
    with pytest.raises(SignatureInvalid, match="stranger"):
        cli.run("policy", command, "--by", "ada")
    assert hands.backup() == before


def test_kills_of_another_experiment_are_no_kills_here(cli: StoreCommands, hands: RedisHands) -> None:
    hands.put("control", stop(5, experiment="elsewhere").signed)
    assert cli.json("policy", "status")["killed"] is None
    with pytest.raises(ContractMismatch, match="elsewhere"):
        cli.store().publish_control(stop(5, experiment="elsewhere").signed)
