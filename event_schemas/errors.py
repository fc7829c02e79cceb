"""The root of Trimtab's exceptions, and the exceptions that several stages share.

TrimtabError
├── ExperimentError          a broken experiment file
├── SettingError             a missing or unusable `TRIMTAB_*` setting
├── ComponentUnreachable     a broker, Redis or registry that does not answer
│   ├── CertificateRefused   TLS fails: the component's certificate is not trusted, or it does not use TLS
│   └── CredentialsRefused   it answers, but rejects this user and password
├── RightMissing             it answers, but this user may not perform the operation
└── SchemaError
    ├── UnknownSchema        a schema id, record name or subject that is not registered or cannot be read
    └── MalformedRecord      bytes that are not the record they claim to be

Every stage derives its own exceptions from `TrimtabError`. Each says what is wrong, where, and how to fix it.
"""

from __future__ import annotations


class TrimtabError(Exception):
    """An error that a person can fix.

    `what` says what is wrong and where; `fix` says what to do next. Each is one line.
    """

    def __init__(self, what: str, *, fix: str) -> None:
        super().__init__(what, fix)
        self.what = what
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.what} | fix: {self.fix}"


class ExperimentError(TrimtabError):
    """The experiment file cannot be read or breaks a rule."""


class SettingError(TrimtabError):
    """A `TRIMTAB_*` setting is missing or unusable."""


class ComponentUnreachable(TrimtabError):
    """A broker, Redis or Schema Registry does not answer."""


class CertificateRefused(ComponentUnreachable):
    """TLS fails: the component's certificate is not trusted or names another host, or it does not use TLS."""


class CredentialsRefused(ComponentUnreachable):
    """The component rejects this user and password."""


class RightMissing(TrimtabError):
    """The component answers, but the user lacks a right; the error names the operation and the resource."""


class SchemaError(TrimtabError):
    """A schema is unknown, or a record does not match its schema."""


class UnknownSchema(SchemaError):
    """A schema id, record name or subject is not in the registry, or this release cannot read that version."""


class MalformedRecord(SchemaError):
    """The bytes are not a framed datum of the schema that their header names."""


def caused_by(error: BaseException, *kinds: type[BaseException]) -> bool:
    """Whether the error, or an error that caused it, is one of these kinds."""
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, kinds):
            return True
        link = link.__cause__ or link.__context__
    return False
