"""The root of Trimtab's exceptions, and those that belong to no single stage.

TrimtabError
├── ExperimentError          a broken experiment file
├── SettingError             a missing or unusable `TRIMTAB_*` setting
├── ComponentUnreachable     a broker, Redis or registry that does not answer
│   ├── CertificateRefused   TLS fails: the other side's certificate is not trusted, or it speaks no TLS
│   └── CredentialsRefused   it answers, but not to this user and password
├── RightMissing             it answers, but this user may not do that: which operation on what
└── SchemaError
    ├── UnknownSchema        a schema id, record name or subject nobody registered
    └── MalformedRecord      bytes that are not the record they claim to be

Every stage derives its own exceptions from `TrimtabError`; each says what is wrong and where, and how to fix it.
"""

from __future__ import annotations


class TrimtabError(Exception):
    """Something a person can fix.

    `what` names the fault and where it is; `fix` names the next step. Both are one line each.
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
    """TLS fails: the certificate of the other side is not trusted or names another host, or it speaks no TLS."""


class CredentialsRefused(ComponentUnreachable):
    """The component does not accept this user and password."""


class RightMissing(TrimtabError):
    """The component answers, but the user may not do what was asked; the error names the operation and the resource."""


class SchemaError(TrimtabError):
    """A schema or a record does not fit."""


class UnknownSchema(SchemaError):
    """A schema id, record name or subject is not in the registry."""


class MalformedRecord(SchemaError):
    """Bytes are not the framed datum they claim to be."""


def caused_by(error: BaseException, *kinds: type[BaseException]) -> bool:
    """Whether the error, or one that led to it, is of these kinds."""
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, kinds):
            return True
        link = link.__cause__ or link.__context__
    return False
