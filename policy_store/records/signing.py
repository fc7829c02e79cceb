"""Ed25519 keys whose id names their role: `learner/<id>` or `governance/<id>`.

The text form of a key is `<role>/<id>=<base64 of the 32 raw bytes>`; `@<file>` reads that text from a file.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from policy_store.records.store_errors import RecordMalformed, SignatureInvalid

_KEY_ID = re.compile(r"(learner|governance)/[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_KEY_FIX = "make a pair with `trimtab policy keygen`; the form is <role>/<id>=<base64 of 32 bytes>, or @<file>"
_RAW_KEY_BYTES = 32
TRUSTED_KEYS_FILE = "trusted_keys"
"""The file beside the private keys that lists the public ones."""


class Role(StrEnum):
    """Who signs: the learner's process, or the people who govern it."""

    LEARNER = "learner"
    GOVERNANCE = "governance"


def role_of(key_id: str) -> Role:
    """The role that a key id names. Raises SignatureInvalid for an id that names none."""
    if not _KEY_ID.fullmatch(key_id):
        raise SignatureInvalid(f"key id {key_id!r} is not <role>/<id> with a known role", fix=_KEY_FIX)
    return Role(key_id.split("/", 1)[0])


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key. Its text form is secret and not part of its repr."""

    key_id: str
    _private: Ed25519PrivateKey = field(repr=False)

    @classmethod
    def generate(cls, role: Role, name: str) -> SigningKey:
        """A new key from the operating system's randomness. Raises RecordMalformed for an unusable name."""
        key_id = f"{role.value}/{name}"
        if not _KEY_ID.fullmatch(key_id):
            raise RecordMalformed(
                f"{name!r} cannot name a key",
                fix="use at most 64 characters: letters, digits, '.', '_' and '-'",
            )
        return cls(key_id, Ed25519PrivateKey.generate())

    @classmethod
    def parse(cls, text: str) -> SigningKey:
        """A key from its text form or `@file`. Raises RecordMalformed; the message never contains the key."""
        entries = _entries(text, "the signing key")
        if len(entries) != 1:
            raise RecordMalformed(f"the signing key must be one key, not {len(entries)}", fix=_KEY_FIX)
        [(key_id, raw)] = entries
        return cls(key_id, Ed25519PrivateKey.from_private_bytes(raw))

    @property
    def role(self) -> Role:
        """The role its id names."""
        return role_of(self.key_id)

    def sign(self, payload: bytes) -> bytes:
        """The 64-byte Ed25519 signature of `payload`."""
        return self._private.sign(payload)

    def secret_text(self) -> str:
        """`<key id>=<base64 private key>`, only for a file or a secret store."""
        return f"{self.key_id}={base64.b64encode(self._private.private_bytes_raw()).decode()}"

    def public_text(self) -> str:
        """`<key id>=<base64 public key>`, for readers to trust."""
        return f"{self.key_id}={base64.b64encode(self._private.public_key().public_bytes_raw()).decode()}"


@dataclass(frozen=True, slots=True)
class TrustedKeys:
    """The public keys a reader accepts, by key id."""

    _public: Mapping[str, Ed25519PublicKey]

    @classmethod
    def parse(cls, text: str) -> TrustedKeys:
        """Keys from comma- or line-separated text forms or `@file`. Raises RecordMalformed."""
        keys: dict[str, Ed25519PublicKey] = {}
        for key_id, raw in _entries(text, "the list of trusted keys"):
            if key_id in keys:
                raise RecordMalformed(f"trusted key {key_id} is given twice", fix="give one key per id")
            keys[key_id] = Ed25519PublicKey.from_public_bytes(raw)
        return cls(keys)

    @classmethod
    def of(cls, *keys: SigningKey) -> TrustedKeys:
        """The public halves of some signing keys."""
        return cls.parse(",".join(key.public_text() for key in keys))

    def including(self, key: SigningKey) -> TrustedKeys:
        """These keys, and the public half of `key` unless another key has its id."""
        return TrustedKeys({**TrustedKeys.of(key)._public, **self._public})

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The ids of the trusted keys, sorted."""
        return tuple(sorted(self._public))

    def verify(self, key_id: str, payload: bytes, signature: bytes, what: str) -> Role:
        """The role that signed `payload`; `what` names it in errors.

        Raises SignatureInvalid when the key is not trusted or the signature does not match the bytes.
        """
        role = role_of(key_id)
        public = self._public.get(key_id)
        if not self._public:
            raise SignatureInvalid(
                f"{what} is signed by {key_id}, and no key is trusted: TRIMTAB_TRUSTED_KEYS is not set",
                fix="set TRIMTAB_TRUSTED_KEYS to the public keys of the learner and of those who govern it, or to the"
                " @FILE that lists them, such as @keys/trusted_keys",
            )
        if public is None:
            raise SignatureInvalid(
                f"{what} is signed by {key_id}, which is not a trusted key",
                fix="add its public key to TRIMTAB_TRUSTED_KEYS if you trust it",
            )
        try:
            public.verify(signature, payload)
        except InvalidSignature:
            raise SignatureInvalid(
                f"{what}: the signature of {key_id} does not match the content",
                fix="publish it again: it was changed after signing, or signed with another key of the same id",
            ) from None
        return role


class KeyFiles(NamedTuple):
    """Where a key was written: the private text, the public text, and the folder's list of trusted keys."""

    private: Path
    public: Path
    trusted: Path


def write_key_pair(key: SigningKey, file: Path) -> KeyFiles:
    """Writes the private text to a new `file` (mode 0600) and the public one to `<file>.pub`, and adds the public one
    to `trusted_keys` in the same folder, which TRIMTAB_TRUSTED_KEYS may name.

    Makes the folder and `trusted_keys` if they are missing.

    Raises RecordMalformed when either file exists, so that no key in use is overwritten, when `trusted_keys` has a key
    of this id or cannot be read, or when a file cannot be written.
    """
    made = KeyFiles(file, file.with_name(f"{file.name}.pub"), file.with_name(TRUSTED_KEYS_FILE))
    try:
        known = made.trusted.read_text("utf-8-sig") if made.trusted.exists() else ""
        if key.key_id in TrustedKeys.parse(known).key_ids and not file.exists():
            raise RecordMalformed(
                f"{made.trusted} has a key {key.key_id} already",
                fix="choose another --id, or remove that line from the file if the key is no longer used",
            )
        file.parent.mkdir(parents=True, exist_ok=True)
        for path, text, mode in ((file, key.secret_text(), 0o600), (made.public, key.public_text(), 0o644)):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
                opened.write(text + "\n")
        with made.trusted.open("a", encoding="utf-8") as opened:
            opened.write(("" if known.endswith("\n") or not known else "\n") + key.public_text() + "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise RecordMalformed(f"the key pair cannot be written to {file}: {error}", fix="name a new file") from error
    return made


def _entries(text: str, what: str) -> list[tuple[str, bytes]]:
    """(key id, raw bytes) pairs; errors name the key's id, never its bytes."""
    lines = [line.split("#", 1)[0].strip() for line in _resolved(text, what).replace(",", "\n").splitlines()]
    return [_entry(line, what) for line in lines if line]


def _resolved(text: str, what: str) -> str:
    if not text.strip().startswith("@"):
        return text
    path = Path(text.strip()[1:])
    try:
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise RecordMalformed(f"{what} cannot be read from {path}: {error}", fix=_KEY_FIX) from error


def _entry(line: str, what: str) -> tuple[str, bytes]:
    key_id, separator, encoded = line.partition("=")
    if not separator or not _KEY_ID.fullmatch(key_id):
        raise RecordMalformed(f"an entry of {what} has no key id of the form <role>/<id>", fix=_KEY_FIX)
    try:
        raw = base64.b64decode(encoded, validate=True)
    except ValueError as error:  # a character that is not ASCII, or truncated base64
        raise RecordMalformed(f"key {key_id} is not base64", fix=_KEY_FIX) from error
    if len(raw) != _RAW_KEY_BYTES:
        raise RecordMalformed(f"key {key_id} has {len(raw)} bytes instead of 32", fix=_KEY_FIX)
    return key_id, raw
