"""`trimtab alpha` as people use it, against a real Redis."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from policy_store.backends.key_names import KeyNames
from policy_store.records.preference_record import PreferenceTarget
from policy_store.records.store_errors import (
    ContractMismatch,
    RecordMalformed,
    RevisionConflict,
    RoleForbidden,
    SignatureInvalid,
    UnknownProposal,
)
from tests.components.experiment_sample import HOMEFEED
from tests.policy_store.foreign_hands import RedisHands
from tests.policy_store.store_samples import LEARNER, people, set_preference
from tests.trimtab.store_commands import COHORTS, StoreCommands

THIRD = '\n[[objectives]]\nname = "hide"\nkinds = ["hide"]\nclip = 1\nattribution = "10m"\n'


@pytest.fixture
def cli(redis_url: str, tmp_path: Path) -> StoreCommands:
    return StoreCommands(redis_url, tmp_path)


def propose(cli: StoreCommands, *arguments: str) -> str:
    return str(cli.json("alpha", "propose", *arguments, "--by", "ada", "--reason", "more repins")["proposal_id"])


def test_before_people_choose_the_experiment_file_holds(cli: StoreCommands) -> None:
    shown = cli.json("alpha", "show")
    assert shown["revision"] is None
    assert shown["default"] == {"alpha": 0.1, "objective_weights": {"repin": 0.1, "click": 0.9}}
    assert shown["cohorts"] == {}
    assert "experiment file" in cli.run("alpha", "show")


def test_a_proposal_changes_nothing_until_it_is_approved(cli: StoreCommands) -> None:
    proposal_id = propose(cli, "0.3")
    shown = cli.json("alpha", "show")
    assert shown["default"]["alpha"] == 0.1
    assert [(each["proposal_id"], each["status"]) for each in shown["proposals"]] == [(proposal_id, "open")]
    for_people = cli.run("alpha", "show")
    assert f"{proposal_id}  open" in for_people
    assert "α = 0.3 for everybody, by ada: more repins" in for_people

    approved = cli.json("alpha", "approve", proposal_id, "--by", "grace", "--reason", "agreed")
    assert approved["default"]["objective_weights"] == {"repin": 0.3, "click": 0.7}
    shown = cli.json("alpha", "show")
    assert (shown["default"]["alpha"], shown["by"], shown["revision"]) == (0.3, "grace", approved["revision"])
    [proposal] = shown["proposals"]
    assert (proposal["status"], proposal["decided_by"], proposal["decided_reason"]) == ("approved", "grace", "agreed")


def test_a_cohort_has_its_own_alpha(cli: StoreCommands) -> None:
    cli.run("alpha", "approve", propose(cli, "0.5", "--cohort", "CORE"), "--by", "grace")
    shown = cli.json("alpha", "show")
    assert shown["default"]["alpha"] == 0.1
    assert shown["cohorts"]["CORE"]["objective_weights"] == {"repin": 0.5, "click": 0.5}
    assert "CORE" in cli.run("alpha", "show")


def test_weights_by_name_for_any_number_of_objectives(redis_url: str, tmp_path: Path) -> None:
    three = HOMEFEED.replace("\n[join]", f"{THIRD}\n[join]") + COHORTS
    cli = StoreCommands(redis_url, tmp_path, document=three)
    weights = ("--weight", "repin=0.5", "--weight", "click=0.25", "--weight", "hide=0.25")
    cli.run("alpha", "approve", propose(cli, *weights), "--by", "grace")
    assert cli.json("alpha", "show")["default"]["objective_weights"] == {"repin": 0.5, "click": 0.25, "hide": 0.25}
    with pytest.raises(ContractMismatch, match="two objectives"):
        propose(cli, "0.3")


def test_one_objective_weighs_one_whatever_people_approved_for_two(cli: StoreCommands) -> None:
    cli.run("alpha", "approve", propose(cli, "0.3"), "--by", "grace")
    second = '[[objectives]]\nname = "click"\nkinds = ["click", "long_click"]\nclip = 2\nattribution = "10m"\n'
    one = cli.file.read_text(encoding="utf-8").replace(second, "")
    cli.file.write_text(one, encoding="utf-8")
    assert cli.json("alpha", "show")["default"] == {"alpha": 0.3, "objective_weights": {"repin": 1.0}}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("1.5",), "alpha"),
        (("nan",), "alpha"),
        ((), "either"),
        (("0.5", "--weight", "repin=1"), "either"),
        (("--weight", "repin=0.5", "--weight", "click=0.6"), "sum to 1"),
        (("--weight", "repin"), "NAME=VALUE"),
    ],
)
def test_a_value_outside_its_bounds_is_refused(cli: StoreCommands, arguments: tuple[str, ...], said: str) -> None:
    with pytest.raises(RecordMalformed, match=said):
        propose(cli, *arguments)
    assert cli.store().proposals() == []


def test_unknown_cohorts_and_objectives_are_refused(cli: StoreCommands) -> None:
    with pytest.raises(ContractMismatch, match="'VIP'"):
        propose(cli, "0.3", "--cohort", "VIP")
    with pytest.raises(ContractMismatch, match="hide"):
        propose(cli, "--weight", "hide=1")


def test_a_rejected_proposal_stays_rejected(cli: StoreCommands) -> None:
    proposal_id = propose(cli, "0.9")
    assert cli.json("alpha", "reject", proposal_id, "--by", "grace", "--reason", "too far")["status"] == "rejected"
    with pytest.raises(UnknownProposal, match=proposal_id):
        cli.run("alpha", "approve", proposal_id, "--by", "grace")
    with pytest.raises(UnknownProposal, match="p-none"):
        cli.run("alpha", "reject", "p-none", "--by", "grace")
    assert cli.store().preference() is None


def test_of_two_proposals_over_one_preference_the_second_must_be_made_again(cli: StoreCommands) -> None:
    first, second = propose(cli, "0.3"), propose(cli, "0.4")
    cli.run("alpha", "approve", first, "--by", "grace")
    with pytest.raises(RevisionConflict, match="propose again"):
        cli.run("alpha", "approve", second, "--by", "grace")
    cli.run("alpha", "reject", second, "--by", "grace")
    assert "rejected" in cli.run("alpha", "show")


def test_a_learner_approves_nothing(cli: StoreCommands) -> None:
    proposal_id = propose(cli, "0.3")
    cli.signing_key = LEARNER.secret_text()
    with pytest.raises(RoleForbidden, match="preference"):
        cli.run("alpha", "approve", proposal_id, "--by", "the learner")
    assert cli.store().preference() is None


def test_nothing_is_approved_on_top_of_a_forged_preference(cli: StoreCommands) -> None:
    forged = replace(people(), by="eve", key=LEARNER)
    set_preference(cli.store(), PreferenceTarget.of(alpha=1.0), forged)
    with pytest.raises(SignatureInvalid, match="preference"):
        cli.run("alpha", "show")
    with pytest.raises(SignatureInvalid, match="preference"):
        cli.run("alpha", "approve", propose(cli, "0.3"), "--by", "grace")


def test_a_proposal_has_a_name(cli: StoreCommands) -> None:
    with pytest.raises(RecordMalformed, match="name"):
        cli.run("alpha", "propose", "0.3", "--by", "")


def test_several_objectives_wait_for_somebody_to_weigh_them(redis_url: str, tmp_path: Path) -> None:
    three = HOMEFEED.replace("\n[join]", f"{THIRD}\n[join]") + COHORTS
    cli = StoreCommands(redis_url, tmp_path, document=three)
    assert cli.json("alpha", "show")["default"] == {"objective_weights": None}
    assert "not chosen yet" in cli.run("alpha", "show")
    weights = ("--weight", "repin=0.5", "--weight", "click=0.25", "--weight", "hide=0.25")
    with pytest.raises(ContractMismatch, match="everybody else first"):
        cli.run("alpha", "approve", propose(cli, *weights, "--cohort", "CORE"), "--by", "grace")


def test_a_proposal_altered_in_the_store_is_not_approved(cli: StoreCommands) -> None:
    import redis

    proposal_id = propose(cli, "0.3", "--cohort", "CORE")
    key = KeyNames(cli.name).proposals
    client = redis.Redis.from_url(cli.redis_url)
    held = client.hget(key, proposal_id)
    assert isinstance(held, bytes)
    client.hset(key, proposal_id, held.replace(b'"CORE"', b'"VIP"'))
    with pytest.raises(ContractMismatch, match="'VIP'"):
        cli.run("alpha", "approve", proposal_id, "--by", "grace")
    assert cli.store().preference() is None


def test_a_record_of_another_kind_in_the_slot_stops_no_approval(cli: StoreCommands) -> None:
    cli.run("alpha", "approve", propose(cli, "0.4", "--cohort", "CORE"), "--by", "grace")
    cli.run("policy", "kill", "--by", "ada")
    hands = RedisHands(cli.store(), cli.redis_url)
    hands.put("preference", next(iter(cli.store().control_records().kills.values())))
    hands.close()
    approved = cli.json("alpha", "approve", propose(cli, "0.3"), "--by", "grace")
    assert (approved["default"]["alpha"], approved["cohorts"]["CORE"]["alpha"]) == (0.3, 0.4)
