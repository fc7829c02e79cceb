"""Facts of an experiment that is well, for tests to make worse."""

from __future__ import annotations

from dataclasses import replace

from policy_store.decisions import EMPTY, VALID
from policy_store.decisions.kill_decisions import OpenKill
from tests.policy_store.control_samples import stop
from trimtab.status.node_view import NodeView
from trimtab.status.status_facts import ChannelFacts, LearnedFacts, LogFacts, StatusFacts, StoreFacts

OLD, NEW = "20240501T120000000Z-0a1b2c3d", "20240502T120000000Z-0a1b2c3e"
KILL = stop(5)
OPEN_KILL = OpenKill(KILL.hash, KILL.record, ("the store",))
NODE = NodeView("ranker-7", {"stable": OLD})
LOG = LogFacts({0: 0, 1: 0}, workers=2, events=900, examples=300, dead_letters=3)
PASSED = LearnedFacts(OLD, 1, "pass", ("every lift lies above -1.0%",), ("harmless",))
NEWER = replace(PASSED, version=NEW)
STABLE = ChannelFacts("stable", VALID, OLD, by="ada", reason="fine")
EXPIRED = ChannelFacts("stable", "channel:stable revision 7 expired", OLD, fix="publish with `trimtab policy promote`")
FORGED = ChannelFacts("canary", "channel:canary: bad signature", fix="sign it again")
STORE = StoreFacts(
    channels=(STABLE, ChannelFacts("canary", EMPTY), ChannelFacts("shadow", EMPTY)),
    nodes=(NODE,),
    newest=PASSED,
    stable_before=frozenset({OLD}),
    preference="α = 0.1 (experiment file)",
)
WELL = StatusFacts("homefeed", 1_714_564_800_000, LOG, STORE)
