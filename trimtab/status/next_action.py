"""What to do next, as a pure function of the facts: the first case that applies, most urgent first.

A canary that runs asks for nothing, so it hides nothing: every later case that applies is told too.

A case is a function that returns an action or None. Their order is in `CASES`:

1. something does not answer, or cannot be read
2. a kill is in force, or may be
3. events wait and no worker of the join is running
4. a node or the join has another experiment file than this one
5. a channel's record cannot be accepted
6. a node refused what a channel points to, or part of the node does not work
7. there are no examples
8. there are examples, and nothing has been learned
9. no preference between the objectives is approved or proposed
10. a canary runs: nothing else is promoted meanwhile; or the newest published checkpoint passed, or that of shadow, and
    was neither in `stable` nor withdrawn: it may be promoted
11. the newest checkpoint passed, and only this machine has it
12. a proposal waits for approval
13. `stable` points to a policy, but no node is alive
14. the learner had another experiment file than this one at its last run
15. nothing has passed yet
16. events wait, and the broker cannot report whether a worker is running
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass

from policy_store.decisions import EMPTY, VALID, Refusal
from trimtab.status.node_view import NodeView
from trimtab.status.status_facts import PASS, LogFacts, StatusFacts, StoreFacts

COMMAND = re.compile(r"`(trimtab [^`]*)`")
CANARY = "canary"
WEIGHED_BY_NOBODY = "no_preference"


@dataclass(frozen=True, slots=True)
class NextAction:
    """One thing to do: `command` is what to run, None where no command does it; `why` is a sentence."""

    case: str
    command: str | None
    why: str

    def as_dict(self) -> dict[str, str | None]:
        """Plain JSON values."""
        return asdict(self)


NOTHING = NextAction("well", None, "nothing to do: all is well")
AFTER_REFUSAL: dict[str, tuple[str | None, str]] = {
    "unverified": ("trimtab policy verify", "see what does not verify, and which keys the node trusts"),
    "expired": ("trimtab learn", "a running learner keeps records fresh"),
    "future": ("trimtab policy rebase --dry-run", "set the clocks right first"),
    "contract": (None, "give the node the learner's experiment file, and a Trimtab that is not older"),
    "q_drift": ("trimtab learn", "train on newer examples: it values live requests unlike those it was judged on"),
    "live_drift": ("trimtab learn", "train on newer examples: the ranker's heads have changed since"),
}
"""By the value of PickupResult: a command, and what it is for."""


def next_actions(facts: StatusFacts) -> tuple[NextAction, ...]:
    """The first case that applies; after a running canary all others that do. NOTHING alone if none does."""
    holding = [action for case in CASES if (action := case(facts)) is not None] or [NOTHING]
    return tuple(holding) if holding[0].case == CANARY else (holding[0],)


def _fault(facts: StatusFacts) -> NextAction | None:
    for name, fault in facts.faults.items():
        found = COMMAND.search(fault.fix)
        return NextAction("fault", found[1] if found else None, f"{name}: {fault.fix}")
    return None


def _kill(facts: StatusFacts) -> NextAction | None:
    store = facts.store or StoreFacts()
    for each in store.open_kills:
        if each.record is not None:
            why = f"killed {each.source}; lift it once that is over"
            return NextAction("killed", 'trimtab policy resume --reason "…"', why)
    doubts = [*store.kill_faults, *(each.describe() for each in store.open_kills)]
    if doubts:
        return NextAction(
            "kill_in_doubt", "trimtab policy verify", f"a kill that cannot be verified may be in force: {doubts[0]}"
        )
    return None


def _join_absent(facts: StatusFacts) -> NextAction | None:
    log = facts.log
    if log is not None and log.workers == 0 and log.unprocessed:
        return NextAction(
            "join", "trimtab join", f"{log.unprocessed:,} events wait, and no worker of the join is running"
        )
    return None


def _files_differ(facts: StatusFacts) -> NextAction | None:
    for each in facts.differences:
        if each.process != "learner":
            return NextAction("files_differ", None, f"{each.describe()}: {each.fix}")
    return None


def _learner_file_differs(facts: StatusFacts) -> NextAction | None:
    """Late: the learner may have the file already, and its newest checkpoint does not change until it runs again."""
    for each in facts.differences:
        if each.process == "learner":
            return NextAction("learner_file_differs", None, f"{each.describe()}: {each.fix}")
    return None


def _channel_not_acceptable(facts: StatusFacts) -> NextAction | None:
    for each in (facts.store or StoreFacts()).channels:
        if not each.sound:
            found = COMMAND.search(each.fix or "")
            command = found[1] if found else "trimtab policy verify"
            return NextAction("channel", command, f"nodes do not accept its record: {each.state}; {each.fix}")
    return None


def _node_in_trouble(facts: StatusFacts) -> NextAction | None:
    store = facts.store or StoreFacts()
    for node in store.nodes:
        for refusal in node.refusals:
            return _after_refusal(node, refusal)
    for node in store.nodes:
        if node.killed:
            why = "is killed by its kill file or --killed; remove the file, or restart it without the option"
            return NextAction("node", None, f"node {node.node_id} {why}")
        for trouble in (*node.troubles, *([f"withholds its policies: {node.withheld}"] if node.withheld else [])):
            return NextAction("node", None, f"node {node.node_id}: {trouble}")
    return None


def _after_refusal(node: NodeView, refusal: Refusal) -> NextAction:
    command, advice = AFTER_REFUSAL.get(refusal.result, (None, "see the node's log"))
    return NextAction("refused", command, f"node {node.node_id} {refusal.describe()}; {advice}")


def _no_examples(facts: StatusFacts) -> NextAction | None:
    log = facts.log
    if log is None or log.examples:
        return None
    if not log.events:
        return NextAction("no_events", "trimtab serve", "the log is empty: serve traffic, or replay a log you have")
    if log.unprocessed:
        return _join_seems_absent(log)
    if log.dead_letters:
        why = f"{log.events:,} events gave no example; {log.dead_letters:,} dead letters say why"
        return NextAction("dead_letters", "trimtab dead-letters list", why)
    return NextAction("window", None, "nothing to do: decisions become examples when their windows close")


def _join_seems_absent(log: LogFacts) -> NextAction:
    if log.workers:
        return NextAction("joining", None, f"nothing to do: the join has {log.unprocessed:,} events to go")
    return _join_unseen(log)


def _events_wait(facts: StatusFacts) -> NextAction | None:
    log = facts.log
    return _join_unseen(log) if log is not None and log.workers is None and log.unprocessed else None


def _join_unseen(log: LogFacts) -> NextAction:
    return NextAction("join", "trimtab join", f"{log.unprocessed:,} events wait; start the join if it is not running")


def _nothing_learned(facts: StatusFacts) -> NextAction | None:
    if facts.learned is None and facts.log is not None and facts.log.examples:
        return NextAction(
            "learn", "trimtab learn", f"{facts.log.examples:,} examples, and nothing learned from them yet"
        )
    return None


def _nobody_weighed(facts: StatusFacts) -> NextAction | None:
    learned, store = facts.learned, facts.store
    if learned is None or store is None or store.proposals or store.preference is not None:
        return None
    if WEIGHED_BY_NOBODY not in learned.reason_codes:
        return None
    return NextAction(
        "preference", "trimtab alpha propose --help", "no preference between the objectives is approved yet"
    )


def _passed_and_waits(facts: StatusFacts) -> NextAction | None:
    store = facts.store or StoreFacts()
    if store.canary is not None:
        command = f"trimtab experiment read canary-{store.canary}"
        return NextAction(CANARY, command, "it is the canary: see whether it is better online")
    decided = store.stable_before | store.withdrawn_before
    for each in (store.newest, store.in_shadow):
        if each is None or each.verdict != PASS or each.version in decided:
            continue
        serves = "nothing yet" if store.stable.state == EMPTY else f"{store.stable.version}"
        command = f"trimtab policy promote {each.version} --to stable"
        return NextAction("promote", command, f"it passed the gate, and stable serves {serves}")
    return None


def _passed_and_unpublished(facts: StatusFacts) -> NextAction | None:
    learned = facts.learned
    if facts.store is None or learned is None or learned.published or learned.verdict != PASS:
        return None
    why = f"{learned.version} passed but is not published: set TRIMTAB_SIGNING_KEY to a learner's key, and train again"
    return NextAction("publish", "trimtab learn", why)


def _proposal_waits(facts: StatusFacts) -> NextAction | None:
    for proposal in (facts.store or StoreFacts()).proposals:
        return NextAction("proposal", f"trimtab alpha approve {proposal}", "it waits for approval; or reject it")
    return None


def _nobody_serves(facts: StatusFacts) -> NextAction | None:
    store = facts.store
    if store is not None and store.stable.state == VALID and not store.nodes:
        return NextAction("serve", "trimtab serve", f"stable points to {store.stable.version}, and no node is alive")
    return None


def _too_little_evidence(facts: StatusFacts) -> NextAction | None:
    learned, store = facts.learned, facts.store
    if learned is None or store is None or learned.verdict == PASS or store.stable.state != EMPTY:
        return None
    reason = learned.reasons[0] if learned.reasons else "no reason given"
    why = f"nothing to do: more examples may change the verdict {learned.verdict} ({reason})"
    return NextAction("evidence", None, why)


CASES = (
    _fault,
    _kill,
    _join_absent,
    _files_differ,
    _channel_not_acceptable,
    _node_in_trouble,
    _no_examples,
    _nothing_learned,
    _nobody_weighed,
    _passed_and_waits,
    _passed_and_unpublished,
    _proposal_waits,
    _nobody_serves,
    _learner_file_differs,
    _too_little_evidence,
    _events_wait,
)
