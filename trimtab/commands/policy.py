"""`trimtab policy`: which checkpoint serves, who decided it, and how to stop it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from event_schemas.instant import utc_text
from policy_store.records.channel_record import Channel, channel_slot
from policy_store.records.signing import Role
from trimtab.commands.policy_stop import kill, rebase, resume
from trimtab.settings import load_settings, require_usable
from trimtab.store_access import AsJson, By, Reason, decider, echo_json, open_store, statement, trust_rule

if TYPE_CHECKING:
    from policy_store.backends.store import PolicyStore
    from policy_store.decisions.verification import TrustRule
    from policy_store.records.checkpoint_record import CheckpointManifest

policy = typer.Typer(no_args_is_help=True, help="Checkpoints, channels and the kill switch.")


def register(app: typer.Typer) -> None:
    """Adds `trimtab policy …`."""
    app.add_typer(policy, name="policy")


@policy.command()
def keygen(
    role: Annotated[Role, typer.Option(help="What the key may sign: checkpoints, or decisions of people.")],
    name: Annotated[str, typer.Option("--id", help="Name of the key within its role.")],
    out: Annotated[Path | None, typer.Option(help="Write the private key here, the public one beside it.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a signing key. The private half is printed unless --out names a new file for it (readable by you only).

    Example: trimtab policy keygen --role governance --id board --out board.key
    """
    from policy_store.records.signing import SigningKey, write_key_pair

    require_usable()
    key = SigningKey.generate(role, name)
    content = {"key_id": key.key_id, "public": key.public_text()}
    if out is None:
        content["signing_key"] = key.secret_text()
    else:
        content["public_file"] = str(write_key_pair(key, out))
        content["signing_key"] = f"@{out}"
    if as_json:
        echo_json(content)
    else:
        typer.echo(f"TRIMTAB_SIGNING_KEY={content['signing_key']}\nTRIMTAB_TRUSTED_KEYS={content['public']}")


@policy.command()
def status(as_json: AsJson = False) -> None:
    """What each channel serves, whether it verifies, the kills that hold, and the nodes alive.

    Example: trimtab policy status
    """
    from event_schemas.instant import wall_clock_ms
    from policy_store.decisions.overview import store_overview

    settings = load_settings()
    experiment = settings.load_experiment()
    overview = store_overview(open_store(settings, experiment), trust_rule(settings, experiment), wall_clock_ms())
    if as_json:
        echo_json(overview)
        return
    console = Console()
    console.print(f"experiment {experiment.name}   killed: {overview['killed']}   audit: {overview['audit_entries']}")
    console.print(_table("channels", ("channel", "version", "revision", "state", "by", "reason"), overview["channels"]))
    if overview["open_kills"]:
        console.print(_table("open kills", ("hash", "by", "reason", "revision", "known_to"), overview["open_kills"]))
    console.print(_table("nodes", ("node", "status"), [_node_row(each) for each in overview["nodes"]]))


@policy.command("list")
def list_checkpoints(as_json: AsJson = False) -> None:
    """The checkpoints in the store, oldest first, with the gate's verdict.

    Example: trimtab policy list --json
    """
    settings = load_settings()
    store = open_store(settings, settings.load_experiment())
    rows = [_checkpoint_row(manifest) for manifest in store.list_checkpoints()]
    if as_json:
        echo_json(rows)
    else:
        columns = ("version", "created_at", "algorithm", "verdict", "parent", "size")
        Console().print(_table("checkpoints", columns, rows))


@policy.command()
def show(version: Annotated[str, typer.Argument(help="Version of a checkpoint.")], as_json: AsJson = False) -> None:
    """The manifest of one checkpoint, verified: window, parent, evaluation, hashes.

    Example: trimtab policy show v20240501-1200
    """
    import json

    from policy_store.decisions.verification import verify_checkpoint

    settings = load_settings()
    experiment = settings.load_experiment()
    checkpoint = open_store(settings, experiment).get_checkpoint(version)
    manifest = verify_checkpoint(checkpoint, version, trust_rule(settings, experiment))
    content = json.loads(checkpoint.manifest)
    if as_json:
        echo_json(content)
        return
    console = Console()
    console.print(f"{version} signed by {checkpoint.key_id}, verdict {manifest.verdict}")
    console.print_json(data={name: value for name, value in content.items() if name != "reference"})


@policy.command()
def promote(
    version: Annotated[str, typer.Argument(help="Version of a checkpoint.")],
    to: Annotated[Channel, typer.Option(help="Channel to point to it.")],
    by: By,
    reason: Reason = "",
    override_gate: Annotated[bool, typer.Option("--override-gate", help="Serve it although it did not pass.")] = False,
    as_json: AsJson = False,
) -> None:
    """Point a channel to a checkpoint, signed with TRIMTAB_SIGNING_KEY. Only a passed gate reaches users.

    Example: trimtab policy promote v20240501-1200 --to stable --by ada --reason "canary was fine for a week"
    """
    from policy_store.decisions.governance import point_channel
    from policy_store.decisions.verification import require_promotable

    settings = load_settings()
    experiment = settings.load_experiment()
    store, rule = open_store(settings, experiment), trust_rule(settings, experiment)
    manifest = _verified(store, version, rule)
    if not override_gate:
        require_promotable(manifest, to)
    elif manifest.verdict != "pass":
        reason = f"{reason} [gate overridden: {manifest.verdict}]".strip()
    decision = decider(settings, rule, channel_slot(to), statement(by, reason))
    record = point_channel(store, to, version, decision, ttl_ms=experiment.serving.checkpoint_ttl)
    _report(record.model_dump(mode="json"), f"{record.slot} → {version} (revision {record.revision})", as_json)


@policy.command()
def rollback(
    by: By,
    channel: Annotated[Channel, typer.Option(help="Channel to roll back.")] = Channel.STABLE,
    to: Annotated[str | None, typer.Option(help="Version; default: the one before the present one.")] = None,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Point a channel back to an earlier checkpoint, by a newer record.

    Example: trimtab policy rollback --channel stable --by ada --reason "sessions fell"
    """
    from policy_store.decisions.governance import point_channel, require_served_before, rollback_version

    settings = load_settings()
    experiment = settings.load_experiment()
    store, rule = open_store(settings, experiment), trust_rule(settings, experiment)
    version = to or rollback_version(store, channel)
    require_served_before(store, channel, version, rule)
    _verified(store, version, rule)
    decision = decider(settings, rule, channel_slot(channel), statement(by, reason))
    record = point_channel(store, channel, version, decision, ttl_ms=experiment.serving.checkpoint_ttl)
    _report(record.model_dump(mode="json"), f"{record.slot} → {version} (revision {record.revision})", as_json)


for stopping in (kill, resume, rebase):
    policy.command()(stopping)


@policy.command()
def history(
    slot: Annotated[str, typer.Argument(help="channel:<name>, preference, control or rebase.")] = "channel:stable",
    as_json: AsJson = False,
) -> None:
    """The decisions on one slot, newest first; `hash` is what resumes and re-bases call a record by.

    Example: trimtab policy history channel:stable
    """
    from policy_store.decisions.inspection import require_slot
    from policy_store.records.canonical_json import parse_object

    settings = load_settings()
    store = open_store(settings, settings.load_experiment())
    records = store.history(require_slot(slot))
    rows = [parse_object(signed.record, slot) | {"key_id": signed.key_id, "hash": signed.hash} for signed in records]
    if as_json:
        echo_json(rows)
    else:
        Console().print(_table(slot, ("revision", "version", "killed", "by", "reason", "key_id"), rows))


@policy.command()
def verify(as_json: AsJson = False) -> None:
    """Check every signature, hash, revision and the audit's chain; exit code 1 when anything does not hold.

    Example: trimtab policy verify
    """
    from policy_store.decisions.inspection import inspect_store

    settings = load_settings()
    experiment = settings.load_experiment()
    findings = inspect_store(open_store(settings, experiment), trust_rule(settings, experiment))
    rows = [{"subject": each.subject, "problem": each.problem} for each in findings]
    if as_json:
        echo_json(rows)
    else:
        shown = [{"subject": each.subject, "problem": each.problem or "holds"} for each in findings]
        Console().print(_table("verification", ("subject", "problem"), shown))
    if any(each.problem for each in findings):
        raise typer.Exit(1)


def _verified(store: PolicyStore, version: str, rule: TrustRule) -> CheckpointManifest:
    from policy_store.decisions.verification import verify_checkpoint

    return verify_checkpoint(store.get_checkpoint(version), version, rule)


def _checkpoint_row(manifest: CheckpointManifest) -> dict[str, Any]:
    return {
        "version": manifest.version,
        "created_at": utc_text(manifest.created_at),
        "algorithm": manifest.algorithm,
        "verdict": manifest.verdict,
        "parent": manifest.parent,
        "size": sum(blob.size for blob in manifest.blobs.values()),
    }


def _node_row(node: dict[str, Any]) -> dict[str, Any]:
    """A node with its kills by their hashes alone: the signed records are for machines."""
    status = node["status"]
    return node | {"status": status | {"open_kills": list(status["open_kills"])} if "open_kills" in status else status}


def _report(content: dict[str, Any], sentence: str, as_json: bool) -> None:
    if as_json:
        echo_json(content)
    else:
        typer.echo(sentence)


def _table(title: str, columns: tuple[str, ...], rows: list[dict[str, Any]]) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*("" if row.get(column) is None else str(row[column]) for column in columns))
    return table
