"""A client of a Confluent Schema Registry that turns its errors into errors a person can fix.

ComponentUnreachable
└── RequestRefused   the registry answers, but refuses the request
"""

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
from event_schemas.shown_text import cut

if TYPE_CHECKING:
    from confluent_kafka.schema_registry import SchemaRegistryClient

ANSWER_SECONDS = 5
UNAUTHORISED, FORBIDDEN, NOT_FOUND, TIMED_OUT, TOO_MANY, SERVER_FAILED = 401, 403, 404, 408, 429, 500
REDIRECTIONS = range(300, 400)
UNREAD = -1
"""The client's error code for an answer that is not a registry's."""
LONGEST_REASON = 200
DEFAULT_PORTS = {"http": 80, "https": 443}
SETTING = "TRIMTAB_SCHEMA_REGISTRY_URL"


class RequestRefused(ComponentUnreachable):
    """The registry answers, but refuses the request with an HTTP `status` from 400 to 499, except 408 and 429."""

    def __init__(self, what: str, *, fix: str, status: int) -> None:
        super().__init__(what, fix=fix)
        self.status = status


class RegistryConnection:
    """A client for the registry at `url`, the value of `setting`; user and password are part of the address.

    `shown` is the address without user and password, spelled in one way: for messages, and to tell registries apart.
    """

    def __init__(self, url: str, setting: str = SETTING) -> None:
        """Raises SettingError if `url` is not an http(s) address."""
        from confluent_kafka.schema_registry import SchemaRegistryClient

        self._setting = setting
        self.shown, self._user = _without_credentials(url, setting)
        scheme, _, rest = url.partition(":")  # the client knows a scheme in lower case only
        self.client: SchemaRegistryClient = SchemaRegistryClient(
            {"url": f"{scheme.lower()}:{rest}", "timeout": ANSWER_SECONDS, "max.retries": 1}
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
        """The error for `action`: CertificateRefused, CredentialsRefused, RightMissing, RequestRefused, or
        ComponentUnreachable itself if the registry is away: it does not answer, cannot, or something else answers."""
        status = getattr(fault, "http_status_code", None)
        if status is not None:
            return self._refusal(action, status, _reason(fault, status))
        where = f"Schema Registry at {self.shown}"
        if caused_by(fault, ssl.SSLError):
            return CertificateRefused(
                f"{where}: TLS fails: {fault}",
                fix="set SSL_CERT_FILE to the certificate of the authority that signed the registry's certificate, and"
                f" use the host name in that certificate; without TLS, use http:// in {self._setting}",
            )
        if _is_about_an_answer(fault):
            return ComponentUnreachable(
                f"{where} answers with something that is no registry's answer ({action})",
                fix=f"set {self._setting} to the registry's own address, not that of a login page or another service",
            )
        return ComponentUnreachable(
            f"{where} does not answer ({action}): {fault}", fix=f"start it, or correct {self._setting}"
        )

    def _refusal(self, action: str, status: int, reason: str) -> TrimtabError:
        """The error for an HTTP status that is not success."""
        where = f"Schema Registry at {self.shown}"
        if status == UNAUTHORISED:
            return CredentialsRefused(
                f"{where} refuses user {self._user!r} ({action}): {reason}",
                fix=f"correct the user and the password in {self._setting} (https://USER:PASSWORD@HOST:PORT)",
            )
        if status == FORBIDDEN:
            return RightMissing(
                f"user {self._user!r} of the {where} may not do this ({action}): {reason}",
                fix="give the user the right to read and register the subjects trimtab.*",
            )
        if status in REDIRECTIONS:
            return ComponentUnreachable(
                f"{where} redirects the request ({action}): {reason}",
                fix=f"set {self._setting} to the registry's own address, not that of a login page or a proxy",
            )
        if status in (TIMED_OUT, TOO_MANY):
            return ComponentUnreachable(
                f"{where} has no time for the request ({action}): {reason}",
                fix="try again later, or raise the limits of the registry or of the proxy before it",
            )
        if status >= SERVER_FAILED:
            return ComponentUnreachable(
                f"{where} fails ({action}): {reason}", fix=f"read the registry's log, or correct {self._setting}"
            )
        return RequestRefused(
            f"{where} refuses the request ({action}): {reason}",
            fix=f"read the registry's log, remove foreign schemas from the subjects trimtab.*, or correct"
            f" {self._setting}",
            status=status,
        )


def _reason(fault: Exception, status: int) -> str:
    """What the registry says, shortened, with the HTTP status; the status alone if it says nothing."""
    code, message = getattr(fault, "error_code", None), getattr(fault, "error_message", None)
    if code == UNREAD or not isinstance(message, str) or not message.strip():
        return f"HTTP status {status}"
    number = "" if code is None else f", error code {code}"
    return f"{cut(' '.join(message.split()), LONGEST_REASON)} (HTTP status {status}{number})"


def _is_about_an_answer(fault: Exception) -> bool:
    """Whether reading an answer failed: the client raises errors like these for a page or for JSON of another shape."""
    if isinstance(fault, UnicodeError):  # otherwise the host name cannot be encoded
        return isinstance(fault, UnicodeDecodeError)
    return isinstance(fault, AttributeError | LookupError | TypeError | ValueError)


def _without_credentials(url: str, setting: str) -> tuple[str, str]:
    """The address without user and password, in one spelling of those that mean the same, and the user name."""
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
    ending = "" if port in (None, DEFAULT_PORTS[parts.scheme]) else f":{port}"
    return f"{parts.scheme}://{place}{ending}{parts.path.rstrip('/')}", user or "anonymous"
