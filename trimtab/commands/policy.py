"""`trimtab policy`: shows and changes which checkpoint serves, and stops it."""

from __future__ import annotations

import os
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from event_schemas.instant import utc_text, wall_clock_ms
from policy_store.records import CANARY_PREFIX, Channel, Role, channel_slot
from trimtab.commands.policy_stop import kill, rebase, resume, withdraw
from trimtab.next_step import say_next
from trimtab.process_exit import FAILED
from trimtab.settings import load_settings, require_usable
from trimtab.store_access import (
    VERSION_HELP,
    AsJson,
    By,
    Reason,
    Version,
    decider,
    echo_json,
    open_store,
    print_parts,
    statement,
    trust_rule,
    version_names,
)

if TYPE_CHECKING:
    from policy_store.backends import PolicyStore
    from policy_store.decisions import TrustRule
    from policy_store.records import CheckpointManifest

PICKED_UP = "it shows which nodes serve it, a few seconds from now, and which ones refuse it and why"
policy = typer.Typer(no_args_is_help=True, help="Checkpoints, channels and the kill switch.")


def register(app: typer.Typer) -> None:
    """Adds `trimtab policy …`."""
    app.add_typer(policy, name="policy")


@policy.command()
def keygen(
    role: Annotated[Role, typer.Option(help="What the key may sign: checkpoints, or people's decisions.")],
    name: Annotated[str, typer.Option("--id", help="Name of the key within its role.")],
    out: Annotated[
        Path | None, typer.Option(help="File for the private key; the public key and trusted_keys are beside it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a signing key. The private half is printed unless --out names a new file for it (readable by you only).

    With --out, the public half is added to the file trusted_keys in the same folder. The printed line is for the shell
    of every process.

    Example: trimtab policy keygen --role governance --id board --out keys/board
    """
    from policy_store.records import SigningKey, write_key_pair
    from trimtab.key_lines import TRUSTED, key_lines, say_next_key

    require_usable()
    key = SigningKey.generate(role, name)
    made = None if out is None else write_key_pair(key, out)
    if as_json:
        files = {} if made is None else {"public_file": str(made.public), "trusted_keys_file": str(made.trusted)}
        signing = key.secret_text() if made is None else f"@{made.private}"
        echo_json({"key_id": key.key_id, "public": key.public_text(), **files, "signing_key": signing})
    elif made is None:
        typer.echo("\n".join(key_lines(key, os.environ.get(TRUSTED, ""))))
    else:
        typer.echo(f"export {TRUSTED}={quote(f'@{made.trusted}')}")
        say_next_key(key, made.private, made.trusted)


@policy.command()
def status(as_json: AsJson = False) -> None:
    """Show what each channel serves, whether it verifies and who refuses it, the kills in force, and the live nodes.

    The exit code is 1 if a node, or the learner of the newest checkpoint, has another experiment file than this
    command; the sections that differ are listed.

    Example: trimtab policy status
    """
    from event_schemas.section_digests import section_digests
    from policy_store.decisions import store_overview

    settings = load_settings()
    experiment = settings.load_experiment()
    store, rule = open_store(settings, experiment), trust_rule(settings, experiment)
    overview = store_overview(store, rule, wall_clock_ms(), section_digests(experiment))
    if as_json:
        echo_json(overview)
    else:
        from trimtab.policy_listings import overview_listings

        print_parts(*overview_listings(overview))
    if overview["differing_files"]:
        raise typer.Exit(FAILED)


@policy.command("list")
def list_checkpoints(as_json: AsJson = False) -> None:
    """List the checkpoints in the store, in the order in which they came, with the gate's verdict.

    Example: trimtab policy list --json
    """
    settings = load_settings()
    store = open_store(settings, settings.load_experiment())
    rows = [_checkpoint_row(manifest) for manifest in store.list_checkpoints()]
    if as_json:
        echo_json(rows)
    else:
        from trimtab.policy_listings import checkpoint_listing

        print_parts(checkpoint_listing(rows))


@policy.command()
def show(version: Version, as_json: AsJson = False) -> None:
    """Show the verified manifest of one checkpoint: window, parent, evaluation, hashes.

    Example: trimtab policy show latest
    """
    import json

    from policy_store.decisions import resolve_version, verify_checkpoint

    settings = load_settings()
    experiment = settings.load_experiment()
    store, rule = open_store(settings, experiment), trust_rule(settings, experiment)
    version = resolve_version(store, version, rule)
    checkpoint = store.get_checkpoint(version)
    manifest = verify_checkpoint(checkpoint, version, rule)
    content = json.loads(checkpoint.manifest)
    if as_json:
        echo_json(content)
        return
    typer.echo(f"{version} signed by {checkpoint.key_id}, verdict {manifest.verdict}")
    echo_json({name: value for name, value in content.items() if name != "reference"})


@policy.command()
def promote(
    version: Version,
    to: Annotated[Channel, typer.Option(help="Channel to point to the checkpoint.")],
    by: By,
    reason: Reason = "",
    override_gate: Annotated[bool, typer.Option("--override-gate", help="Promote it even if it did not pass.")] = False,
    as_json: AsJson = False,
) -> None:
    """Point a channel to a checkpoint, signed with TRIMTAB_SIGNING_KEY. To serve users it must have passed the gate.

    If it was the canary, what that showed is printed beside it, from the examples stored on this machine.

    Example: trimtab policy promote canary --to stable --by ada --reason "canary was fine for a week"
    """
    from policy_store.decisions import point_channel, require_promotable, resolve_version, running_canary
    from trimtab.online_looks import canary_look, keep_releases

    settings = load_settings()
    experiment = settings.load_experiment()
    store, rule = open_store(settings, experiment), trust_rule(settings, experiment)
    version = resolve_version(store, version, rule)
    manifest = _verified(store, version, rule)
    if not override_gate:
        require_promotable(manifest, to)
    elif manifest.verdict != "pass":
        reason = f"{reason} [gate overridden: {manifest.verdict}]".strip()
    decision = decider(settings, rule, channel_slot(to), statement(by, reason))
    running = running_canary(store, rule) if to is Channel.STABLE else None
    record = point_channel(store, to, version, decision, ttl_ms=experiment.serving.checkpoint_ttl)
    look = canary_look(settings, experiment, store, rule, running) if running == f"{CANARY_PREFIX}{version}" else None
    if look is not None:
        keep_releases(store, rule, look, "promoted", decision)
    _report(record.model_dump(mode="json"), f"{record.slot} → {version} (revision {record.revision})", as_json)
    if not as_json:
        if look is not None:
            from trimtab.experiment_tables import look_parts

            print_parts(*look_parts(look))
        say_next("trimtab policy status", PICKED_UP)


@policy.command()
def rollback(
    by: By,
    channel: Annotated[Channel, typer.Option(help="Channel to roll back.")] = Channel.STABLE,
    to: Annotated[
        str | None,
        typer.Option(help=f"Default: the previous checkpoint. Otherwise: {VERSION_HELP}", autocompletion=version_names),
    ] = None,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Point a channel back to a checkpoint that it served before; the old records stay in its history.

    Example: trimtab policy rollback --channel stable --by ada --reason "sessions fell"
    """
    from policy_store.decisions import point_channel, require_served_before, resolve_version, rollback_version

    settings = load_settings()
    experiment = settings.load_experiment()
    store, rule = open_store(settings, experiment), trust_rule(settings, experiment)
    version = rollback_version(store, channel) if to is None else resolve_version(store, to, rule)
    require_served_before(store, channel, version, rule)
    _verified(store, version, rule)
    decision = decider(settings, rule, channel_slot(channel), statement(by, reason))
    record = point_channel(store, channel, version, decision, ttl_ms=experiment.serving.checkpoint_ttl)
    _report(record.model_dump(mode="json"), f"{record.slot} → {version} (revision {record.revision})", as_json)
    if not as_json:
        say_next("trimtab policy status", PICKED_UP)


for stopping in (kill, resume, withdraw, rebase):
    policy.command()(stopping)


def _slots() -> list[str]:
    """The slots that shell completion offers."""
    from policy_store.decisions import SLOTS

    return [slot for slot in SLOTS if not slot.startswith("freshness:")]


@policy.command()
def history(
    slot: Annotated[
        str, typer.Argument(help="channel:<name>, preference, control or rebase.", autocompletion=_slots)
    ] = "channel:stable",
    as_json: AsJson = False,
) -> None:
    """List the decisions on one slot, newest first; resumes and re-bases refer to a record by its `hash`.

    Example: trimtab policy history channel:stable
    """
    from policy_store.decisions import require_slot
    from policy_store.records import parse_object

    settings = load_settings()
    store = open_store(settings, settings.load_experiment())
    records = store.history(require_slot(slot))
    rows = [parse_object(signed.record, slot) | {"key_id": signed.key_id, "hash": signed.hash} for signed in records]
    if as_json:
        echo_json(rows)
    else:
        from trimtab.policy_listings import history_listing

        print_parts(history_listing(slot, rows))


@policy.command()
def verify(as_json: AsJson = False) -> None:
    """Check every signature, hash and revision and the audit chain; exit 1 if any check fails.

    Example: trimtab policy verify
    """
    from policy_store.decisions import inspect_store

    settings = load_settings()
    experiment = settings.load_experiment()
    findings = inspect_store(open_store(settings, experiment), trust_rule(settings, experiment))
    rows = [{"subject": each.subject, "problem": each.problem} for each in findings]
    if as_json:
        echo_json(rows)
    else:
        from trimtab.policy_listings import verification_listing

        print_parts(verification_listing(findings))
    if any(each.problem for each in findings):
        raise typer.Exit(1)


def _verified(store: PolicyStore, version: str, rule: TrustRule) -> CheckpointManifest:
    from policy_store.decisions import verify_checkpoint

    return verify_checkpoint(store.get_checkpoint(version), version, rule)


def _checkpoint_row(manifest: CheckpointManifest) -> dict[str, Any]:
    return {
        "version": manifest.version,
        "created_at": utc_text(manifest.created_at),
        "algorithm": manifest.algorithm,
        "answer": manifest.answer,
        "selection": manifest.selection,
        "preference": manifest.preference,
        "verdict": manifest.verdict,
        "parent": manifest.parent,
        "size": sum(blob.size for blob in manifest.blobs.values()),
    }


def _report(content: dict[str, Any], sentence: str, as_json: bool) -> None:
    if as_json:
        echo_json(content)
    else:
        typer.echo(sentence)
