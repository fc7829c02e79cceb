"""Settings come from `TRIMTAB_*`; a bad value names its variable."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_schemas.errors import SettingError
from event_schemas.topics import EVENTS
from trimtab.settings import experiment_path, load_settings, settings_with_faults

GREETING = {"socket.connection.setup.timeout.ms": "6000", "api.version.request.timeout.ms": "6000"}


def test_defaults_point_at_this_machine() -> None:
    settings = load_settings()
    assert settings.kafka_client_config() == {"bootstrap.servers": "127.0.0.1:9092", "log_level": "2", **GREETING}
    assert settings.topic(EVENTS) == "trimtab.events"


def test_sasl_and_tls_are_passed_through(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_text("a certificate")
    for name, value in {
        "KAFKA_BOOTSTRAP": "broker:9093",
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
        "KAFKA_SASL_USERNAME": "trimtab",
        "KAFKA_SASL_PASSWORD": "secret",
        "KAFKA_SSL_CA_LOCATION": str(authority),
    }.items():
        monkeypatch.setenv(f"TRIMTAB_{name}", value)
    assert load_settings().kafka_client_config() == {
        "bootstrap.servers": "broker:9093",
        "log_level": "2",
        **GREETING,
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "trimtab",
        "sasl.password": "secret",
        "ssl.ca.location": str(authority),
    }
    assert "secret" not in repr(load_settings())


SASL = {"KAFKA_SASL_MECHANISM": "PLAIN", "KAFKA_SASL_USERNAME": "u", "KAFKA_SASL_PASSWORD": "secret"}


@given(st.sets(st.sampled_from(sorted(SASL)), min_size=1), st.sampled_from([None, "PLAINTEXT", "SSL"]))
def test_credentials_never_go_out_in_plain_text(given_ones: set[str], protocol: str | None) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name in given_ones:
            patch.setenv(f"TRIMTAB_{name}", SASL[name])
        if protocol is not None:
            patch.setenv("TRIMTAB_KAFKA_SECURITY_PROTOCOL", protocol)
        with pytest.raises(SettingError) as caught:
            load_settings()
    assert all(f"TRIMTAB_{name}" in caught.value.what for name in given_ones)
    assert "TRIMTAB_KAFKA_SECURITY_PROTOCOL" in caught.value.fix and "secret" not in str(caught.value)


@given(st.sets(st.sampled_from(sorted(SASL)), max_size=2), st.sampled_from(["SASL_SSL", "sasl_plaintext"]))
def test_sasl_needs_all_of_its_credentials(given_ones: set[str], protocol: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRIMTAB_KAFKA_SECURITY_PROTOCOL", protocol)
        for name in given_ones:
            patch.setenv(f"TRIMTAB_{name}", SASL[name])
        with pytest.raises(SettingError) as caught:
            load_settings()
    assert all(f"TRIMTAB_{name}" in caught.value.what for name in SASL.keys() - given_ones)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("KAFKA_SECURITY_PROTOCOL", "TLS"),
        ("KAFKA_SASL_MECHANISM", "OAUTH"),
        ("KAFKA_SSL_CA_LOCATION", "/nowhere/ca.pem"),
    ],
)
def test_a_value_that_no_client_takes_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv("TRIMTAB_KAFKA_SECURITY_PROTOCOL", "SSL")
    monkeypatch.setenv(f"TRIMTAB_{name}", value)
    with pytest.raises(SettingError, match=f"TRIMTAB_{name} = .*{value}"):
        load_settings()


def test_a_misspelt_variable_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_KAFKA_BOOTSTRAPS", "broker:9092")
    with pytest.raises(SettingError, match="TRIMTAB_KAFKA_BOOTSTRAPS is not a setting") as caught:
        load_settings()
    assert "TRIMTAB_KAFKA_BOOTSTRAP?" in caught.value.fix


def test_a_certificate_needs_tls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TRIMTAB_KAFKA_SSL_CA_LOCATION", str(tmp_path))
    with pytest.raises(SettingError, match="TRIMTAB_KAFKA_SECURITY_PROTOCOL is not set"):
        load_settings()


def test_what_the_runtime_declares_tells_topics_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_KAFKA_IDENTITY", "run-7")
    assert load_settings().topic_identities().of("trimtab.events") == "run-7"
    monkeypatch.setenv("TRIMTAB_KAFKA_IDENTITY", "two words")
    with pytest.raises(SettingError, match="TRIMTAB_KAFKA_IDENTITY"):
        load_settings().topic_identities()
    monkeypatch.setenv("TRIMTAB_KAFKA_IDENTITY", "")
    assert load_settings().kafka_identity is None, "then the broker is asked"


def test_keys_may_lie_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("learner/main=abc\n", encoding="utf-8-sig")
    monkeypatch.setenv("TRIMTAB_SIGNING_KEY", f"@{tmp_path / 'key'}")
    assert load_settings().signing_key_text("learner") == "learner/main=abc"
    monkeypatch.setenv("TRIMTAB_TRUSTED_KEYS", f"@{tmp_path / 'absent'}")
    with pytest.raises(SettingError, match="TRIMTAB_TRUSTED_KEYS"):
        load_settings().trusted_keys_text()


@pytest.mark.parametrize("role", ["learner", "governance"])
def test_a_missing_key_says_which_and_how_to_make_it(role: str) -> None:
    with pytest.raises(SettingError, match=f"TRIMTAB_SIGNING_KEY is not set, and this needs a {role} key") as caught:
        load_settings().signing_key_text(role)
    assert f"keygen --role {role}" in caught.value.fix


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose files hand over `${NAME:-}` as an empty text."""
    for name in ("SCHEMA_REGISTRY_URL", "KAFKA_SASL_MECHANISM", "KAFKA_COMPRESSION", "EXPERIMENT", "SIGNING_KEY"):
        monkeypatch.setenv(f"TRIMTAB_{name}", "")
    settings = load_settings()
    assert (settings.schema_registry_url, settings.signing_key) == (None, None)
    assert settings.experiment == Path("trimtab.toml")
    assert "compression.type" not in settings.kafka_client_config()


def test_a_key_file_that_is_not_text_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"\xff\xfe\x00")
    monkeypatch.setenv("TRIMTAB_TRUSTED_KEYS", f"@{tmp_path / 'key'}")
    with pytest.raises(SettingError, match="is not text"):
        load_settings().trusted_keys_text()


def test_a_bad_value_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_KAFKA_COMPRESSION", "zip")
    with pytest.raises(SettingError, match="TRIMTAB_KAFKA_COMPRESSION = 'zip'"):
        load_settings()


def test_every_fault_is_found_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert settings_with_faults() == (load_settings(), [])
    monkeypatch.setenv("TRIMTAB_FOO", "x")
    monkeypatch.setenv("TRIMTAB_BAR", "x")
    settings, faults = settings_with_faults()
    assert settings is not None, "a misspelt variable leaves the others usable"
    assert [fault.what.split()[0] for fault in faults] == ["TRIMTAB_BAR", "TRIMTAB_FOO"]
    monkeypatch.setenv("TRIMTAB_KAFKA_COMPRESSION", "zip")
    monkeypatch.setenv("TRIMTAB_KILLED", "maybe")
    settings, faults = settings_with_faults()
    assert settings is None
    assert [fault.what.split()[0].removeprefix("TRIMTAB_") for fault in faults] == [
        "BAR",
        "FOO",
        "KAFKA_COMPRESSION",
        "KILLED",
    ]


def test_credentials_and_certificate_without_a_protocol_are_named_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_KAFKA_SASL_USERNAME", "ada")
    monkeypatch.setenv("TRIMTAB_KAFKA_SSL_CA_LOCATION", "/nowhere")
    settings, [fault] = settings_with_faults()
    assert settings is None
    assert "SASL_USERNAME is set" in fault.what and "SSL_CA_LOCATION is set" in fault.what
    monkeypatch.delenv("TRIMTAB_KAFKA_SASL_USERNAME")
    monkeypatch.setenv("TRIMTAB_KAFKA_SECURITY_PROTOCOL", "SSL")
    assert "No such file" in settings_with_faults()[1][0].what


@pytest.mark.parametrize(
    ("given_path", "path"), [(None, "trimtab.toml"), ("", "trimtab.toml"), ("/x/y.toml", "/x/y.toml")]
)
def test_the_experiments_path_is_known_whatever_else_is_wrong(
    monkeypatch: pytest.MonkeyPatch, given_path: str | None, path: str
) -> None:
    monkeypatch.setenv("TRIMTAB_KILLED", "maybe")
    if given_path is not None:
        monkeypatch.setenv("TRIMTAB_EXPERIMENT", given_path)
    assert experiment_path() == Path(path)
