"""`trimtab policy kill`, `resume`, `withdraw` and `rebase`: commands for when something has gone wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from event_schemas.instant import utc_text
from policy_store.records import CONTROL_SLOT, REBASE_SLOT, Channel, ControlRecord, channel_slot
from trimtab.next_step import GOVERNED, say_next
from trimtab.settings import load_settings
from trimtab.store_access import AsJson, By, Reason, decider, echo_json, open_store, statement, trust_rule

if TYPE_CHECKING:
    from policy_store.decisions import KillState, OpenKill


def kill(by: By, reason: Reason = "", as_json: AsJson = False) -> None:
    """Stop the policy and exploration on every node: production weights until `resume` names this kill.

    A kill is accepted in any state of the store, and even if clocks are wrong.

    Example: trimtab policy kill --by ada --reason "incident 42"
    """
    from policy_store.decisions import kill as publish_kill
    from policy_store.records import SignedRecord

    settings = load_settings()
    experiment = settings.load_experiment()
    decision = decider(settings, trust_rule(settings, experiment), CONTROL_SLOT, statement(by, reason))
    record = publish_kill(open_store(settings, experiment), decision)
    name = SignedRecord(record.canonical(), b"", "").hash
    if as_json:
        echo_json(record.model_dump(mode="json") | {"hash": name})
    else:
        typer.echo(f"killed: {name} (revision {record.revision})")
        say_next("trimtab policy resume", f"once the incident is over: until then nodes serve production; {GOVERNED}")


def withdraw(by: By, reason: Reason = "", as_json: AsJson = False) -> None:
    """End the canary: its users are served like all others. A canary in its place, or stable, is chosen by `promote`.

    Nodes of 0.1.0 do not obey it; promoting any version to stable ends the canary on them too.

    Example: trimtab policy withdraw --by ada --reason "sessions fell"
    """
    from policy_store.decisions import running_canary, withdraw_canary
    from trimtab.online_looks import canary_look, keep_releases

    settings = load_settings()
    experiment = settings.load_experiment()
    store, rule = open_store(settings, experiment), trust_rule(settings, experiment)
    decision = decider(settings, rule, channel_slot(Channel.CANARY), statement(by, reason))
    running = running_canary(store, rule)
    record = withdraw_canary(store, decision, ttl_ms=experiment.serving.checkpoint_ttl)
    look = canary_look(settings, experiment, store, rule, running)
    if look is not None:
        keep_releases(store, rule, look, "withdrawn", decision)
    if as_json:
        echo_json(record.model_dump(mode="json"))
    else:
        typer.echo(f"{record.version} is the canary no longer (revision {record.revision})")
        say_next("trimtab experiment releases", "shows what was expected of it, and what was seen")


def resume(
    by: By,
    reason: Reason = "",
    named: Annotated[
        list[str] | None, typer.Option("--kill", help="Lift only the kill with this hash; may be repeated.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Let nodes explore and use the policy again: lift every kill that holds in the store or on a live node.

    It prints the kills that it lifts. A kill issued meanwhile is not lifted and stays in force. The exit code is 1 if
    nothing was lifted although a kill may be in force, because a record cannot be read or verified.

    Example: trimtab policy resume --by ada --reason "incident 42 is over"
    """
    from policy_store.decisions import kill_state, kills_to_lift
    from policy_store.decisions import resume as publish_resume

    settings = load_settings()
    experiment = settings.load_experiment()
    store, rule = open_store(settings, experiment), trust_rule(settings, experiment)
    decision = decider(settings, rule, CONTROL_SLOT, statement(by, reason))
    state = kill_state(store, rule)
    lifted = kills_to_lift(state, named or [])
    left = [each for each in state.open_kills if each not in lifted]
    record = publish_resume(store, [each.hash for each in lifted], decision) if lifted else None
    if as_json:
        content = (
            {"killed": False, "resumes": [], "revision": None} if record is None else record.model_dump(mode="json")
        )
        known = {"lifted": [each.as_dict() for each in lifted], "open": [each.as_dict() for each in left]}
        echo_json(content | known | {"faults": list(state.faults)})
    else:
        _tell_resumed(state, lifted, left, record)
    if record is None and state.killed is not False:
        raise typer.Exit(1)


def _tell_resumed(
    state: KillState, lifted: Sequence[OpenKill], left: Sequence[OpenKill], record: ControlRecord | None
) -> None:
    from trimtab.tables import show_text

    for fault in state.faults:
        show_text(f"cannot be verified or read: {fault}")
    for each in lifted:
        show_text(f"lifts {each.describe()}")
    for each in left:
        show_text(f"keeps {each.describe()}: lift it with --kill {each.hash}")
    if record is not None:
        typer.echo(f"resumed (revision {record.revision})")
    elif state.killed is False:
        typer.echo("no kill to lift; nothing was written")
    else:
        typer.echo("nothing was lifted or written, and a kill may be in force: see above")


def rebase(
    by: By,
    reason: Reason = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be voided; change nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Void records whose revisions are over an hour ahead of the Redis clock, so that publishing works again.

    Use it after a clock ran ahead (docs/guides/kill_and_rebase.md). Kills are not affected. Decisions that were in
    force and are voided must be made again.

    Example: trimtab policy rebase --by ada --reason "the learner's clock was in 2036"
    """
    from policy_store.decisions import plan_rebase
    from policy_store.decisions import rebase as publish_rebase

    settings = load_settings()
    experiment = settings.load_experiment()
    store, rule = open_store(settings, experiment), trust_rule(settings, experiment)
    if dry_run:
        plan = plan_rebase(store, rule)
    else:
        decision = decider(settings, rule, REBASE_SLOT, statement(by, reason))
        plan = publish_rebase(store, rule, decision)
    if as_json:
        echo_json(plan.as_dict() | {"dry_run": dry_run})
        return
    from trimtab.tables import INDENT, show_text

    verb = "would void" if dry_run else "voids"
    for each in plan.voided:
        place = "in force" if each.in_force else "history"
        typer.echo(f"{verb} {each.signed.hash}")
        show_text(f"{each.slot} of {utc_text(each.record.revision)} by {each.record.by} ({place})", INDENT)
    for slot, known in plan.remembered:
        typer.echo(f"{known.source} remembers {utc_text(known.revision)} for {slot}")
    typer.echo("nothing was changed" if dry_run else f"re-based (epoch {plan.epoch})")
    for slot in plan.decide_again:
        typer.echo(f"decide again on {slot}")
    _say_next_after(plan.decide_again, dry_run, bool(plan.voided))


def _say_next_after(slots: Sequence[str], dry_run: bool, voids: bool) -> None:
    if dry_run:
        if voids:
            say_next("trimtab policy rebase", f"voids these; {GOVERNED}")
        return
    for slot in slots:
        kind, _, name = slot.partition(":")
        command = f"trimtab policy promote VERSION --to {name}" if kind == "channel" else "trimtab alpha propose --help"
        say_next(command, f"{slot} has to be decided again; `trimtab policy history {slot}` shows what was in force")
