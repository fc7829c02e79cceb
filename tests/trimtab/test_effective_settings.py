"""What `trimtab config show` knows of each setting."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tests.policy_store.store_samples import PEOPLE, TRUSTED_TEXT
from trimtab.effective_settings import MASKS, EffectiveSetting, effective_settings
from trimtab.secret_masking import MASK
from trimtab.settings import VARIABLES, Settings, load_settings


def shown() -> dict[str, EffectiveSetting]:
    return {each.variable.removeprefix("TRIMTAB_"): each for each in effective_settings(load_settings())}


def test_defaults_are_told_from_what_was_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_TOPIC_PREFIX", "shop.")
    monkeypatch.setenv("trimtab_killed", "1")
    monkeypatch.setenv("TRIMTAB_KAFKA_BOOTSTRAP", "")
    found = shown()
    assert {each.variable for each in found.values()} == VARIABLES
    assert [(found[name].value, found[name].source) for name in ("TOPIC_PREFIX", "KILLED", "KAFKA_BOOTSTRAP")] == [
        ("shop.", "environment"),
        (True, "environment"),
        ("127.0.0.1:9092", "default"),
    ]
    assert (found["EXPERIMENT"].value, found["SIGNING_KEY"].value) == ("trimtab.toml", None)
    assert "policy store" in found["REDIS_URL"].meaning


def test_no_secret_is_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secret = {
        "SIGNING_KEY": PEOPLE.secret_text(),
        "TRUSTED_KEYS": TRUSTED_TEXT,
        "REDIS_URL": "redis://ada:xyzzy@redis:6379/0",
        "SCHEMA_REGISTRY_URL": "https://ada:xyzzy@registry",
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_MECHANISM": "PLAIN",
        "KAFKA_SASL_USERNAME": "ada",
        "KAFKA_SASL_PASSWORD": "xyzzy",
    }
    for name, value in secret.items():
        monkeypatch.setenv(f"TRIMTAB_{name}", value)
    found = shown()
    written = json.dumps([each.as_dict() for each in found.values()])
    keys = [entry.partition("=")[2] for entry in (*TRUSTED_TEXT.split(","), PEOPLE.secret_text())]
    assert not any(each in written for each in ("xyzzy", *keys))
    assert found["SIGNING_KEY"].value == f"governance/board={MASK}"
    assert found["REDIS_URL"].value == f"redis://ada:{MASK}@redis:6379/0"
    assert found["KAFKA_SASL_PASSWORD"].value == MASK


def test_every_secret_setting_is_masked_whatever_its_name() -> None:
    secrets = {name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)}
    assert {"signing_key", "kafka_sasl_password"} <= secrets
    values: dict[str, Any] = {name: SecretStr("xyzzy") for name in secrets}
    assert "xyzzy" not in str(effective_settings(Settings.model_construct(**values)))
    assert set(MASKS) <= set(Settings.model_fields)
