"""What the policy-store commands share: the store and the trust rule from the settings, who decides, and when."""

from __future__ import annotations

import getpass
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from event_schemas.experiment import Experiment
from event_schemas.instant import wall_clock_ms
from policy_store.decisions import Approval, Decider, Statement, TrustRule
from policy_store.records import Role, SigningKey, TrustedKeys
from trimtab.settings import Settings

if TYPE_CHECKING:
    from rich.table import Table

    from policy_store.backends import RedisStore
    from trimtab.tables import Listing


def person() -> str:
    """The name of the system user who runs the command; empty if the system knows none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return ""


By = Annotated[str, typer.Option("--by", default_factory=person, help="Who decides; default: the current user.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, for the audit log.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
VERSION_HELP = (
    "a version in full, `latest`, a channel (`stable`, `canary` or `shadow`: what it serves), or the beginning of one"
    " version; the first of these that fits counts."
)
"""What may be written for a version, in the order it is looked up (`policy_store.decisions.version_references`)."""


def version_names() -> list[str]:
    """What a shell completes where a version is wanted; the store itself is not asked."""
    from policy_store.decisions import NAMES

    return list(NAMES)


Version = Annotated[str, typer.Argument(help=f"Checkpoint: {VERSION_HELP}", autocompletion=version_names)]


def open_store(settings: Settings, experiment: Experiment) -> RedisStore:
    """The experiment's store at TRIMTAB_REDIS_URL; connects on first use."""
    from policy_store.backends import RedisStore

    return RedisStore(settings.redis_url, experiment.name)


def trust_rule(settings: Settings, experiment: Experiment) -> TrustRule:
    """The rule for accepting records. Raises RecordMalformed for unusable TRIMTAB_TRUSTED_KEYS."""
    return TrustRule(
        trusted=TrustedKeys.parse(settings.trusted_keys_text()),
        experiment=experiment.name,
        action_space=experiment.action_space.digest,
        approval=Approval(experiment.gate.approval),
    )


def statement(by: str, reason: str) -> Statement:
    """A statement with the current time. Raises RecordMalformed without a name."""
    return Statement(by=by, reason=reason, now_ms=wall_clock_ms())


def decider(settings: Settings, rule: TrustRule, slot: str, said: Statement) -> Decider:
    """The statement with TRIMTAB_SIGNING_KEY, if readers accept records signed with that key in the slot.

    Raises SettingError, RecordMalformed, RoleForbidden or SignatureInvalid.
    """
    key = SigningKey.parse(settings.signing_key_text(Role.GOVERNANCE))
    rule.require_signer(slot, key)
    return Decider(by=said.by, reason=said.reason, now_ms=said.now_ms, key=key)


def echo_json(content: Any) -> None:
    """Prints JSON on stdout."""
    typer.echo(json.dumps(content, indent=2, ensure_ascii=False))


def print_parts(*parts: Listing | Table | str) -> None:
    """See `trimtab.tables.show`, which is loaded only when something is printed."""
    from trimtab.tables import show

    show(*parts)
