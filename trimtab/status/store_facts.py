"""Facts from the policy store and from this machine's checkpoints; each question is asked separately.

If the store does not answer, the remaining questions are skipped; a fault in one answer does not affect the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from event_schemas.errors import ComponentUnreachable, TrimtabError
from event_schemas.experiment import Experiment
from policy_store.backends import PolicyStore
from policy_store.decisions import (
    KillState,
    TrustRule,
    channel_overview,
    kill_state,
    read_preference_verified,
    remembered_rebases,
    verify_checkpoint,
)
from policy_store.records import (
    Channel,
    ChannelRecord,
    CheckpointManifest,
    ProposalStatus,
    ReaderMemory,
    channel_slot,
    initial_target,
)
from trimtab.status.node_view import NodeView, node_view
from trimtab.status.status_facts import ChannelFacts, LearnedFacts, StoreFacts

Answer = TypeVar("Answer")
CHANNEL_FIELDS = ("channel", "state", "version", "by", "reason", "fix")


@dataclass
class StoreQuestions:
    """The questions about one experiment's store; `faults` holds what could not be answered, by what was asked."""

    store: PolicyStore
    rule: TrustRule
    experiment: Experiment
    now_ms: int
    faults: dict[str, TrimtabError] = field(default_factory=dict)

    def answers(self) -> StoreFacts:
        """Raises ComponentUnreachable."""
        kills = self._ask("kills", lambda: kill_state(self.store, self.rule), KillState())
        return StoreFacts(
            channels=self._ask("channels", self._channels, ()),
            open_kills=kills.open_kills,
            kill_faults=kills.faults,
            nodes=self._ask("nodes", self._nodes, ()),
            newest=self._ask("newest checkpoint", self._newest, None),
            stable_before=self._ask("history of stable", self._stable_before, frozenset()),
            preference=self._ask("preference", self._preference, None),
            proposals=self._ask("proposals", self._open_proposals, ()),
        )

    def _ask(self, name: str, question: Callable[[], Answer], otherwise: Answer) -> Answer:
        try:
            return question()
        except ComponentUnreachable:
            raise
        except TrimtabError as fault:
            self.faults[name] = fault
            return otherwise

    def _channels(self) -> tuple[ChannelFacts, ...]:
        memory: ReaderMemory = remembered_rebases(self.store, self.rule)
        rows = [channel_overview(self.store, each, self.rule, self.now_ms, memory) for each in Channel]
        known: list[dict[str, Any]] = [{name: row.get(name) for name in CHANNEL_FIELDS} for row in rows]
        return tuple(ChannelFacts(**fields) for fields in known)

    def _nodes(self) -> tuple[NodeView, ...]:
        return tuple(node_view(node) for node in self.store.nodes())

    def _newest(self) -> LearnedFacts | None:
        versions = self.store.versions()
        if not versions:
            return None
        manifest = verify_checkpoint(self.store.get_checkpoint(versions[-1]), versions[-1], self.rule)
        return learned_facts(manifest, published=True)

    def _stable_before(self) -> frozenset[str]:
        signed = self.store.history(channel_slot(Channel.STABLE))
        return frozenset(ChannelRecord.parse(each.record).version for each in signed)

    def _preference(self) -> str | None:
        record = read_preference_verified(self.store, self.rule)
        if record is None:
            target = initial_target(self.experiment)
            return None if target is None else f"{target.describe()} (experiment file)"
        parts = [record.default.describe(), *(f"{name}: {each.describe()}" for name, each in record.cohorts.items())]
        return f"{'; '.join(parts)} (revision {record.revision}, by {record.by})"

    def _open_proposals(self) -> tuple[str, ...]:
        proposals = self.store.proposals()
        return tuple(each.proposal_id for each in proposals if each.status is ProposalStatus.OPEN)


def learned_facts(manifest: CheckpointManifest, *, published: bool) -> LearnedFacts:
    """The verdict and its reasons in a checkpoint's manifest; malformed reasons are left out."""
    listed = manifest.evaluation.get("reasons")
    reasons = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    return LearnedFacts(
        version=manifest.version,
        created_at=manifest.created_at,
        verdict=manifest.verdict,
        reasons=tuple(str(each.get("sentence", "")) for each in reasons),
        reason_codes=tuple(str(each.get("code", "")) for each in reasons),
        published=published,
    )


def newest_on_shelf(data_dir: Path, experiment: Experiment) -> LearnedFacts | None:
    """The newest checkpoint that this machine's learner keeps. Raises CheckpointBroken."""
    from learner.checkpoints import CHECKPOINTS_FOLDER, CheckpointShelf, learner_directory

    shelf = CheckpointShelf(learner_directory(data_dir, experiment) / CHECKPOINTS_FOLDER)
    versions = shelf.versions()
    return learned_facts(shelf.manifest(versions[-1]), published=False) if versions else None
