"""`trimtab policy` as people use it, against a real Redis."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from event_schemas.errors import SettingError
from policy_store.backends.key_names import KeyNames
from policy_store.decisions.kill_decisions import kill
from policy_store.records.signing import SigningKey, TrustedKeys
from policy_store.records.store_errors import (
    AmbiguousVersion,
    ContractMismatch,
    PromotionRefused,
    RecordMalformed,
    RoleForbidden,
    SignatureInvalid,
    StoreUnreachable,
    UnknownCheckpoint,
)
from tests.components.free_port import free_port
from tests.policy_store.store_samples import LEARNER, STRANGER, people
from tests.trimtab.store_commands import StoreCommands


@pytest.fixture
def cli(redis_url: str, tmp_path: Path) -> StoreCommands:
    return StoreCommands(redis_url, tmp_path)


def test_keygen_prints_lines_that_may_be_pasted_one_after_the_other(cli: StoreCommands) -> None:
    cli.trusted_keys = ""
    printed = [cli.run("policy", "keygen", "--role", role, "--id", "x") for role in ("learner", "governance")]
    secrets = [line.split("TRIMTAB_SIGNING_KEY=")[1] for line in "".join(printed).splitlines() if line[0] == "#"]
    script = f'{"".join(printed)}printf %s "$TRIMTAB_TRUSTED_KEYS|$TRIMTAB_SIGNING_KEY"'
    pasted = subprocess.run(["bash", "-c", script], env={}, capture_output=True, text=True, check=True).stdout
    trusted, signing = pasted.split("|")
    assert TrustedKeys.parse(trusted) == TrustedKeys.of(*map(SigningKey.parse, secrets))
    assert (TrustedKeys.parse(trusted).key_ids, signing) == (("governance/x", "learner/x"), "")


def test_keygen_writes_a_file_that_is_never_overwritten(cli: StoreCommands, tmp_path: Path) -> None:
    file = tmp_path / "keys" / "board.key"
    asked = ("policy", "keygen", "--role", "governance", "--id", "board", "--out", str(file))
    made = cli.json(*asked)
    assert made["signing_key"] == f"@{file}"
    assert SigningKey.parse(f"@{file}").public_text() == made["public"]
    assert TrustedKeys.parse(f"@{made['public_file']}") == TrustedKeys.parse(made["public"])
    assert TrustedKeys.parse(f"@{made['trusted_keys_file']}") == TrustedKeys.parse(made["public"])
    with pytest.raises(RecordMalformed, match=r"board\.key"):
        cli.run(*asked)


def test_checkpoints_are_listed_and_shown(cli: StoreCommands) -> None:
    cli.put("v1", "inconclusive")
    [row] = cli.json("policy", "list")
    assert (row["version"], row["verdict"], row["algorithm"]) == ("v1", "inconclusive", "q_network")
    assert (row["answer"], row["selection"], row["preference"]) == ("values", "argmax", None)
    assert "inconclusive" in cli.run("policy", "list")
    assert cli.json("policy", "show", "v1")["objectives"] == ["repin", "save"]
    assert "learner/main" in cli.run("policy", "show", "v1")
    with pytest.raises(UnknownCheckpoint, match="'v2'"):
        cli.run("policy", "show", "v2")


def test_promote_rollback_and_history(cli: StoreCommands) -> None:
    for version in ("v1", "v2"):
        cli.put(version)
        record = cli.json("policy", "promote", version, "--to", "stable", "--by", "ada", "--reason", "fine")
        assert (record["version"], record["by"], record["reason"]) == (version, "ada", "fine")
    assert "channel:stable → v1" in cli.run("policy", "rollback", "--by", "grace", "--reason", "sessions fell")
    history = cli.json("policy", "history")
    assert [(row["version"], row["by"], row["key_id"]) for row in history] == [
        ("v1", "grace", "governance/board"),
        ("v2", "ada", "governance/board"),
        ("v1", "ada", "governance/board"),
    ]
    signed = cli.store().channel("stable")
    assert signed is not None
    assert history[0]["hash"] == signed.hash
    assert "sessions fell" in cli.run("policy", "history", "channel:stable")
    assert cli.json("policy", "rollback", "--to", "v2", "--by", "ada")["version"] == "v2"
    with pytest.raises(RecordMalformed, match="channel:beta"):
        cli.run("policy", "history", "channel:beta")


def test_versions_are_named_as_people_name_them(cli: StoreCommands) -> None:
    """In full, by a beginning, as the latest, or by the channel that serves it."""
    older, newer = "20240501T120000000Z-0a1b2c3d", "20240502T120000000Z-0a1b2c3e"
    for version in (older, newer):
        cli.put(version)
    assert cli.run("policy", "show", "latest").startswith(f"{newer} signed by learner/main")
    assert cli.json("policy", "promote", "20240501", "--to", "stable", "--by", "ada")["version"] == older
    assert cli.json("policy", "promote", "latest", "--to", "canary", "--by", "ada")["version"] == newer
    assert f"channel:stable → {newer}" in cli.run("policy", "promote", "canary", "--to", "stable", "--by", "ada")
    assert cli.json("policy", "rollback", "--to", "20240501", "--by", "ada")["version"] == older
    assert cli.json("policy", "show", "stable")["version"] == older
    with pytest.raises(AmbiguousVersion, match=f"begins 2 versions: {newer}, {older}"):
        cli.run("policy", "show", "2024")
    with pytest.raises(UnknownCheckpoint, match="channel:shadow points to nothing"):
        cli.run("policy", "promote", "shadow", "--to", "stable", "--by", "ada")


def test_the_record_lives_as_long_as_the_experiment_says(cli: StoreCommands) -> None:
    cli.put("v1")
    before = time.time_ns() // 1_000_000
    record = cli.json("policy", "promote", "v1", "--to", "canary", "--by", "ada")
    ttl = cli.experiment.serving.checkpoint_ttl
    assert 0 <= record["expires_at"] - before - ttl < 60_000


def test_a_checkpoint_that_did_not_pass_is_served_only_against_protest(cli: StoreCommands) -> None:
    cli.put("v1", "inconclusive")
    with pytest.raises(PromotionRefused, match="inconclusive"):
        cli.run("policy", "promote", "v1", "--to", "stable", "--by", "ada")
    assert cli.json("policy", "promote", "v1", "--to", "shadow", "--by", "ada")["reason"] == ""
    forced = cli.json("policy", "promote", "v1", "--to", "stable", "--by", "ada", "--override-gate")
    assert forced["reason"] == "[gate overridden: inconclusive]"


def test_a_checkpoint_for_another_action_space_is_not_promoted(cli: StoreCommands) -> None:
    cli.put("v1")
    cli.file.write_text(cli.file.read_text().replace("production = 91.6", "production = 80.0"))
    with pytest.raises(ContractMismatch, match="action space"):
        cli.run("policy", "promote", "v1", "--to", "stable", "--by", "ada")


def test_a_tampered_checkpoint_is_not_promoted(cli: StoreCommands) -> None:
    import redis

    cli.put("v1")
    redis.Redis.from_url(cli.redis_url).hset(KeyNames(cli.name).checkpoint("v1"), "policy.onnx", "evil")
    with pytest.raises(SignatureInvalid, match=r"policy\.onnx"):
        cli.run("policy", "promote", "v1", "--to", "stable", "--by", "ada")
    rows = cli.json("policy", "verify", exit_code=1)
    assert [row["subject"] for row in rows if row["problem"]] == ["checkpoint v1"]


def test_a_key_nobody_would_believe_decides_nothing(cli: StoreCommands) -> None:
    cli.put("v1")
    cli.signing_key = LEARNER.secret_text()
    with pytest.raises(RoleForbidden, match="channel:stable"):
        cli.run("policy", "promote", "v1", "--to", "stable", "--by", "ada")
    with pytest.raises(RoleForbidden, match="control"):
        cli.run("policy", "kill", "--by", "ada")
    cli.signing_key = STRANGER.secret_text()
    with pytest.raises(SignatureInvalid, match="stranger"):
        cli.run("policy", "kill", "--by", "ada")
    assert cli.store().channel("stable") is None
    assert cli.store().control() is None


def test_a_missing_signing_key_is_named(cli: StoreCommands) -> None:
    cli.put("v1")
    cli.signing_key = "@/nonexistent"
    with pytest.raises(SettingError, match="TRIMTAB_SIGNING_KEY"):
        cli.run("policy", "promote", "v1", "--to", "stable", "--by", "ada")


SIGNING = (
    "policy promote v1 --to canary",
    "policy rollback",
    "policy kill",
    "policy resume",
    "policy rebase",
    "alpha approve PROPOSAL",
)


@pytest.mark.parametrize("line", SIGNING)
def test_every_command_that_signs_says_which_key_it_needs(cli: StoreCommands, line: str) -> None:
    for version in ("v1", "v2"):
        cli.put(version)
        cli.run("policy", "promote", version, "--to", "stable", "--by", "ada")
    proposal = cli.json("alpha", "propose", "0.3", "--by", "ada")["proposal_id"]
    arguments = [*line.replace("PROPOSAL", proposal).split(), "--by", "ada", "--reason", "b"]
    cli.signing_key = ""
    with pytest.raises(SettingError, match="TRIMTAB_SIGNING_KEY is not set, and this needs a governance key") as absent:
        cli.run(*arguments)
    assert "keygen --role governance" in absent.value.fix
    cli.signing_key = LEARNER.secret_text()
    with pytest.raises(RoleForbidden, match="with role learner may not sign") as wrong:
        cli.run(*arguments)
    assert wrong.value.fix.startswith("set TRIMTAB_SIGNING_KEY to a governance key")
    assert ("approval" in wrong.value.fix) == line.startswith(("policy promote", "policy rollback"))


def test_status_shows_channels_and_nodes(cli: StoreCommands) -> None:
    cli.put("v1")
    cli.run("policy", "promote", "v1", "--to", "stable", "--by", "ada")
    cli.store().heartbeat("node-1", {"version": "v1"}, ttl_s=60)
    status = cli.json("policy", "status")
    assert (status["killed"], status["open_kills"], status["epoch"]) == (False, [], 0)
    assert status["channels"][0] | {"revision": 0, "expires_at": 0} == {
        "channel": "stable",
        "state": "valid",
        "version": "v1",
        "by": "ada",
        "reason": "",
        "key_id": "governance/board",
        "revision": 0,
        "expires_at": 0,
        "refused_by": [],
    }
    assert status["nodes"] == [{"node": "node-1", "status": {"version": "v1"}}]
    shown = cli.run("policy", "status")
    assert "killed: no" in shown
    assert "node-1" in shown


def test_a_sound_store_verifies(cli: StoreCommands) -> None:
    cli.put("v1")
    cli.run("policy", "promote", "v1", "--to", "stable", "--by", "ada")
    assert {row["problem"] for row in cli.json("policy", "verify")} == {None}
    assert "holds" in cli.run("policy", "verify")


def test_a_forged_decision_is_found_by_verify(cli: StoreCommands) -> None:
    kill(cli.store(), replace(people(), by="eve", key=STRANGER))
    assert "governance/stranger" in cli.run("policy", "verify", exit_code=1)
    assert cli.json("policy", "status")["killed"] is None


def test_an_unreachable_redis_is_an_error(cli: StoreCommands) -> None:
    cli.redis_url = f"redis://127.0.0.1:{free_port()}/0"
    for command in ("status", "list", "verify", "history"):
        with pytest.raises(StoreUnreachable, match="does not answer"):
            cli.run("policy", command)


def test_an_error_is_two_lines_and_exit_code_1(cli: StoreCommands) -> None:
    environment = {**os.environ, **cli.environment(), "TRIMTAB_REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}
    command = [sys.executable, "-m", "trimtab", "policy", "status"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, check=False)
    assert ended.returncode == 1
    error, fix = ended.stderr.strip().splitlines()
    assert error.startswith("error: Redis at redis://127.0.0.1:")
    assert fix.startswith("fix: ")


def test_a_rollback_does_not_go_around_the_gate(cli: StoreCommands) -> None:
    cli.put("v1")
    cli.put("refused", "refuse")
    cli.run("policy", "promote", "v1", "--to", "stable", "--by", "ada")
    with pytest.raises(PromotionRefused, match="never pointed to refused"):
        cli.run("policy", "rollback", "--to", "refused", "--by", "ada")
    assert [row["version"] for row in cli.json("policy", "history")] == ["v1"]


def test_a_history_that_is_no_json_is_an_error_with_a_fix(cli: StoreCommands) -> None:
    import redis

    item = json.dumps({"record": "?", "signature": "", "key_id": "governance/board"})
    redis.Redis.from_url(cli.redis_url).lpush(KeyNames(cli.name).history("control"), item)
    with pytest.raises(RecordMalformed, match="control is not valid JSON"):
        cli.run("policy", "history", "control")
