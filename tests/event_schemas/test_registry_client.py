"""Each kind of answer of a Schema Registry, or its silence, gives its own error."""

from __future__ import annotations

from pathlib import Path

import pytest

from event_schemas.errors import (
    CertificateRefused,
    ComponentUnreachable,
    CredentialsRefused,
    RightMissing,
    SchemaError,
    SettingError,
    TrimtabError,
)
from event_schemas.registry_client import RegistryConnection
from tests.components.certificates import write_certificates
from tests.components.free_port import free_port
from tests.components.schema_registry import RegisteredSchemas, schema_registry


def ask(url: str) -> None:
    connection = RegistryConnection(url)
    with connection.asking("read schema id 7"):
        connection.client.get_schema(7)


@pytest.mark.parametrize(
    ("status", "kind", "message"),
    [
        (401, CredentialsRefused, r"refuses user 'bob' \(read schema id 7\)"),
        (403, RightMissing, r"user 'bob' .* may not do this \(read schema id 7\)"),
        (409, ComponentUnreachable, r"refuses the request \(read schema id 7\)"),
        (500, ComponentUnreachable, r"refuses the request \(read schema id 7\)"),
    ],
)
def test_a_refusal_is_named_by_its_kind(status: int, kind: type[TrimtabError], message: str) -> None:
    registry = schema_registry(RegisteredSchemas(refuses_with=status))
    with registry as url, pytest.raises(kind, match=message) as caught:
        ask(url.replace("http://", "http://bob:xyzzy@"))
    assert type(caught.value) is kind
    assert "xyzzy" not in str(caught.value)


def test_silence_names_the_address_and_the_setting() -> None:
    port = free_port()
    with pytest.raises(ComponentUnreachable, match=f"http://127.0.0.1:{port} does not answer") as caught:
        ask(f"http://127.0.0.1:{port}")
    assert "TRIMTAB_SCHEMA_REGISTRY_URL" in caught.value.fix


def test_certificates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, other = write_certificates(tmp_path), write_certificates(tmp_path, "other")
    held = RegisteredSchemas(first_id=7)
    held.register("trimtab.Request", {"type": "string"})
    with schema_registry(held, ours.server) as url:
        monkeypatch.setenv("SSL_CERT_FILE", str(ours.authority))
        ask(url)
        monkeypatch.setenv("SSL_CERT_FILE", str(other.authority))
        with pytest.raises(CertificateRefused, match="TLS fails") as caught:
            ask(url)
    assert "SSL_CERT_FILE" in caught.value.fix


def test_tls_to_a_port_that_speaks_none_is_said() -> None:
    with schema_registry(RegisteredSchemas()) as url, pytest.raises(CertificateRefused) as caught:
        ask(url.replace("http://", "https://"))
    assert "use http:// in TRIMTAB_SCHEMA_REGISTRY_URL" in caught.value.fix


@pytest.mark.parametrize(
    "url", ["", "registry:8081", "ftp://registry", "http://", "http://registry:port", "http://bob:xyzzy@"]
)
def test_an_address_that_is_none_is_a_setting_error(url: str) -> None:
    with pytest.raises(SettingError, match="is not the address of a Schema Registry") as caught:
        RegistryConnection(url, "bridge.schema_registry")
    assert "set bridge.schema_registry to" in caught.value.fix
    assert "xyzzy" not in str(caught.value)


def test_an_error_of_ours_passes_through() -> None:
    with pytest.raises(SchemaError), RegistryConnection("http://127.0.0.1:1").asking("read schema id 7"):
        raise SchemaError("no", fix="none")
