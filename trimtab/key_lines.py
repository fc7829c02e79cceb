"""What `trimtab policy keygen` prints: lines for a shell, which may be pasted one after the other for several keys."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

from policy_store.records import Role, SigningKey, TrustedKeys
from trimtab.next_step import say_next

SIGNING, TRUSTED = "TRIMTAB_SIGNING_KEY", "TRIMTAB_TRUSTED_KEYS"
SIGNS = {Role.LEARNER: "`trimtab learn`", Role.GOVERNANCE: "people's `trimtab policy` and `trimtab alpha` commands"}
"""Who signs with a key of a role."""
KEY_NAMES = {Role.LEARNER: "main", Role.GOVERNANCE: "you"}


def trusting_line(key: SigningKey, trusted: str) -> str:
    """The line that makes a shell's processes trust `key` too, where `trusted` is TRIMTAB_TRUSTED_KEYS now."""
    if trusted.startswith("@"):
        return f"echo {key.public_text()} >> {quote(trusted[1:])}"
    return f'export {TRUSTED}="${{{TRUSTED}:+${TRUSTED},}}{key.public_text()}"'


def key_lines(key: SigningKey, trusted: str) -> list[str]:
    """The lines for a key that is in no file; the private one is a comment, since one process signs with one key."""
    return [f"# only for {SIGNS[key.role]}: export {SIGNING}={key.secret_text()}", trusting_line(key, trusted)]


def say_next_key(key: SigningKey, file: Path, trusted: Path) -> None:
    """Write what follows once `key` is in `file`: a key of the other role, or else the topics."""
    here = [each.partition("/")[0] for each in TrustedKeys.parse(f"@{trusted}").key_ids]
    absent = next((role for role in Role if role.value not in here), None)
    if absent is None:
        say_next("trimtab topics create", f"paste the line above in every shell first. {_signing(key, file)}")
        return
    command = (
        f"trimtab policy keygen --role {absent.value} --id {KEY_NAMES[absent]} --out {file.with_name(absent.value)}"
    )
    say_next(command, f"{SIGNS[absent]} need a key of that role. {_signing(key, file)}")


def _signing(key: SigningKey, file: Path) -> str:
    return f"Set {SIGNING}=@{file} only for {SIGNS[key.role]}"
