"""From the settings to a store, a trust rule and a decider."""

from __future__ import annotations

import getpass
import json
from pathlib import Path

import pytest
from pydantic import SecretStr

from event_schemas.experiment import load_experiment
from event_schemas.instant import wall_clock_ms
from policy_store.decisions.verification import Approval
from policy_store.records.preference_record import PREFERENCE_SLOT
from policy_store.records.store_errors import RecordMalformed, RoleForbidden
from tests.policy_store.store_samples import LEARNER, PEOPLE, TRUSTED, TRUSTED_TEXT
from trimtab.settings import Settings
from trimtab.store_access import (
    decider,
    echo_json,
    open_store,
    person,
    statement,
    trust_rule,
)


def settings_with(key: str) -> Settings:
    return Settings(redis_url="redis://127.0.0.1:1/0", signing_key=SecretStr(key), trusted_keys=TRUSTED_TEXT)


def test_the_rule_follows_experiment_and_settings(experiment_file: Path) -> None:
    experiment = load_experiment(experiment_file)
    rule = trust_rule(settings_with(""), experiment)
    assert (rule.experiment, rule.action_space) == ("homefeed", experiment.action_space.digest)
    assert rule.approval is Approval.MANUAL
    assert rule.trusted == TRUSTED


def test_opening_a_store_asks_nothing_of_redis(experiment_file: Path) -> None:
    assert open_store(settings_with(""), load_experiment(experiment_file)).experiment == "homefeed"


def test_a_decision_is_made_now_with_a_key_that_readers_accept(experiment_file: Path) -> None:
    rule = trust_rule(settings_with(""), load_experiment(experiment_file))
    said = statement("ada", "because")
    made = decider(settings_with(PEOPLE.secret_text()), rule, PREFERENCE_SLOT, said)
    assert (made.by, made.reason, made.key.key_id) == ("ada", "because", "governance/board")
    assert abs(made.now_ms - wall_clock_ms()) < 60_000
    with pytest.raises(RoleForbidden, match="preference"):
        decider(settings_with(LEARNER.secret_text()), rule, PREFERENCE_SLOT, said)


def test_a_statement_needs_a_name() -> None:
    with pytest.raises(RecordMalformed, match="name"):
        statement("", "because")


def test_the_person_is_the_systems_user_or_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise OSError("no user")

    monkeypatch.setattr(getpass, "getuser", lambda: "ada")
    assert person() == "ada"
    monkeypatch.setattr(getpass, "getuser", nobody)
    assert person() == ""


def test_output_forms(capsys: pytest.CaptureFixture[str]) -> None:
    echo_json({"α": 1})
    assert json.loads(capsys.readouterr().out) == {"α": 1}
