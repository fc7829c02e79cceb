"""A client of a Confluent Schema Registry that turns its errors into errors a person can fix."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from event_schemas.errors import (
    CertificateRefused,
    ComponentUnreachable,
    CredentialsRefused,
    RightMissing,
    SettingError,
    TrimtabError,
    caused_by,
)

if TYPE_CHECKING:
    from confluent_kafka.schema_registry import SchemaRegistryClient

ANSWER_SECONDS = 5
UNAUTHORISED, FORBIDDEN = 401, 403
SETTING = "TRIMTAB_SCHEMA_REGISTRY_URL"


class RegistryConnection:
    """A client for the registry at `url`, the value of `setting`; user and password are part of the address.

    `shown` is the address without user and password, for messages.
    """

    def __init__(self, url: str, setting: str = SETTING) -> None:
        """Raises SettingError if `url` is not an http(s) address."""
        from confluent_kafka.schema_registry import SchemaRegistryClient

        self._setting = setting
        self.shown, self._user = _without_credentials(url, setting)
        self.client: SchemaRegistryClient = SchemaRegistryClient(
            {"url": url, "timeout": ANSWER_SECONDS, "max.retries": 1}
        )

    @contextmanager
    def asking(self, action: str) -> Iterator[None]:
        """Wraps a request to the registry and raises any error as the one that `explained` returns.

        A TrimtabError passes unchanged.
        """
        try:
            yield
        except TrimtabError:
            raise
        except Exception as fault:  # after any httpx, registry or JSON error, the registry cannot be used
            raise self.explained(action, fault) from fault

    def explained(self, action: str, fault: Exception) -> TrimtabError:
        """CertificateRefused, CredentialsRefused, RightMissing or ComponentUnreachable, naming `action`."""
        where, status = f"Schema Registry at {self.shown}", getattr(fault, "http_status_code", None)
        if status == UNAUTHORISED:
            return CredentialsRefused(
                f"{where} refuses user {self._user!r} ({action}): {fault}",
                fix=f"correct the user and the password in {self._setting} (https://USER:PASSWORD@HOST:PORT)",
            )
        if status == FORBIDDEN:
            return RightMissing(
                f"user {self._user!r} of the {where} may not do this ({action}): {fault}",
                fix="give the user the right to read and register the subjects trimtab.*",
            )
        if status is not None:
            return ComponentUnreachable(
                f"{where} refuses the request ({action}): {fault}",
                fix=f"read the registry's log, remove foreign schemas from the subjects trimtab.*, or correct"
                f" {self._setting}",
            )
        if caused_by(fault, ssl.SSLError):
            return CertificateRefused(
                f"{where}: TLS fails: {fault}",
                fix="set SSL_CERT_FILE to the certificate of the authority that signed the registry's certificate, and"
                f" use the host name in that certificate; without TLS, use http:// in {self._setting}",
            )
        return ComponentUnreachable(
            f"{where} does not answer ({action}): {fault}", fix=f"start it, or correct {self._setting}"
        )


def _without_credentials(url: str, setting: str) -> tuple[str, str]:
    """The address without user and password, and the user name."""
    try:
        parts = urlsplit(url)
        host, port, user = parts.hostname, parts.port, parts.username
    except ValueError:
        parts, host, port, user = SplitResult("", "", "", "", ""), None, None, None
    if parts.scheme not in ("http", "https") or not host:
        raise SettingError(
            f"{url.rpartition('@')[2]!r} is not the address of a Schema Registry",
            fix=f"set {setting} to http://HOST:PORT, or https:// for TLS",
        )
    place = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{place}{'' if port is None else f':{port}'}{parts.path}", user or "anonymous"
