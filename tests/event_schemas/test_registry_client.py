"""Each kind of answer of a Schema Registry, or its silence, gives its own error."""

from __future__ import annotations

import time
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
from event_schemas.registry_client import RegistryConnection, RequestRefused
from tests.components.certificates import write_certificates
from tests.components.free_port import free_port
from tests.components.refusing_front import refusing_front
from tests.components.schema_registry import SchemaRegistry
from tests.components.tcp_forwarder import TcpForwarder

RECORD = {"type": "record", "name": "Request", "fields": []}


def ask(url: str, schema_id: int = 7) -> None:
    connection = RegistryConnection(url)
    with connection.asking(f"read schema id {schema_id}"):
        connection.client.get_schema(schema_id)


@pytest.mark.parametrize(
    ("status", "kind", "message"),
    [
        (401, CredentialsRefused, r"refuses user 'bob' \(read schema id 7\)"),
        (403, RightMissing, r"user 'bob' .* may not do this \(read schema id 7\)"),
        (409, RequestRefused, r"refuses the request \(read schema id 7\)"),
        (500, ComponentUnreachable, r"fails \(read schema id 7\)"),
        (302, ComponentUnreachable, r"redirects the request \(read schema id 7\)"),
        (408, ComponentUnreachable, r"has no time for the request \(read schema id 7\)"),
        (429, ComponentUnreachable, r"has no time for the request \(read schema id 7\)"),
    ],
)
@pytest.mark.parametrize("content", [None, b"{}", b"<html>", b"null", b'{"error_code": 7, "message": null}'])
def test_a_refusal_is_named_by_its_kind(
    status: int, kind: type[TrimtabError], message: str, content: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)  # the client waits before it asks again
    answer = status if content is None else (status, content)
    with refusing_front(lambda *_: answer) as address, pytest.raises(kind, match=message) as caught:
        ask(f"http://bob:xyzzy@{address}")
    assert type(caught.value) is kind
    assert "xyzzy" not in str(caught.value)
    said = f"refused (HTTP status {status}, error code {status}01)" if content is None else f"HTTP status {status}"
    assert caught.value.what.endswith(f": {said}")
    assert ("foreign schemas" in caught.value.fix) == (status == 409)


@pytest.mark.parametrize("content", [b"<html>Log in</html>", b"null", b"", b"[]", b"\xff", b'"text"'])
def test_an_answer_that_is_no_registry_s_is_said_in_words(content: bytes) -> None:
    with (
        refusing_front(lambda *_: (200, content)) as address,
        pytest.raises(ComponentUnreachable, match="answers with something that is no registry's answer") as caught,
    ):
        ask(f"http://{address}")
    assert type(caught.value) is ComponentUnreachable
    assert "NoneType" not in str(caught.value)
    assert "the registry's own address" in caught.value.fix


def test_a_host_name_that_cannot_be_asked_does_not_answer() -> None:
    with pytest.raises(ComponentUnreachable, match="does not answer"):
        ask("http://a..b:1")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://h/pre/", "http://h/pre"),
        ("HTTP://bob:xyzzy@H:80/pre", "http://h/pre"),
        ("https://h:443/", "https://h"),
        ("https://h:80", "https://h:80"),
        ("http://[::1]:8081//", "http://[::1]:8081"),
    ],
)
def test_spellings_that_mean_one_address_are_shown_as_one(url: str, shown: str) -> None:
    assert RegistryConnection(url).shown == shown


def test_silence_names_the_address_and_the_setting() -> None:
    port = free_port()
    with pytest.raises(ComponentUnreachable, match=f"http://127.0.0.1:{port} does not answer") as caught:
        ask(f"http://127.0.0.1:{port}")
    assert "TRIMTAB_SCHEMA_REGISTRY_URL" in caught.value.fix


def test_certificates(schema_registry: SchemaRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, other = write_certificates(tmp_path), write_certificates(tmp_path, "other")
    schema_id = schema_registry.register("trimtab.Request", RECORD)
    front = TcpForwarder(ours.server)
    front.open(schema_registry.address)
    url = schema_registry.url_at(front.address).replace("http://", "https://")
    monkeypatch.setenv("SSL_CERT_FILE", str(ours.authority))
    ask(url, schema_id)
    monkeypatch.setenv("SSL_CERT_FILE", str(other.authority))
    with pytest.raises(CertificateRefused, match="TLS fails") as caught:
        ask(url, schema_id)
    front.close()
    assert "SSL_CERT_FILE" in caught.value.fix


def test_tls_to_a_port_that_speaks_none_is_said(schema_registry: SchemaRegistry) -> None:
    with pytest.raises(CertificateRefused) as caught:
        ask(schema_registry.url.replace("http://", "https://"))
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
