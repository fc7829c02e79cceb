"""Facts from the policy store and from this machine's checkpoints; each question is asked separately.

If the store does not answer, the remaining questions are skipped; a fault in one answer does not affect the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from event_schemas.errors import ComponentUnreachable, TrimtabError
from event_schemas.experiment import Experiment
from event_schemas.section_digests import section_digests
from policy_store.backends import NodeStatus, PolicyStore
from policy_store.decisions import (
    FileDifference,
    KillState,
    TrustRule,
    channel_overview,
    file_differences,
    kill_state,
    read_preference_verified,
    remembered_rebases,
    running_canary,
    verify_checkpoint,
)
from policy_store.records import (
    CANARY_PREFIX,
    Channel,
    ChannelRecord,
    CheckpointManifest,
    ProposalStatus,
    ReaderMemory,
    SignedCheckpoint,
    channel_slot,
    initial_target,
)
from trimtab.status.node_view import node_view
from trimtab.status.status_facts import (
    CHANNELS,
    KILLS,
    LEASE,
    NEWEST,
    NODES,
    PREFERENCE,
    ChannelFacts,
    LearnedFacts,
    StoreFacts,
)

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
        kills = self._ask(KILLS, lambda: kill_state(self.store, self.rule), KillState())
        return StoreFacts(
            channels=self._ask(CHANNELS, self._channels, ()),
            open_kills=kills.open_kills,
            kill_faults=kills.faults,
            nodes=tuple(node_view(node) for node in self._alive),
            newest=self._ask(NEWEST, self._newest, None),
            in_shadow=self._ask("the checkpoint of shadow", self._in_shadow, None),
            versions=self._ask("checkpoints", lambda: frozenset(self.store.versions()), frozenset()),
            stable_before=self._ask("history of stable", self._stable_before, frozenset()),
            withdrawn_before=self._ask("history of canary", self._withdrawn_before, frozenset()),
            canary=self._canary(),
            preference=self._ask(PREFERENCE, self._preference, None),
            proposals=self._ask("proposals", self._open_proposals, ()),
            differences=self._ask("experiment files", self._differences, ()),
            learner=self._ask(LEASE, self.store.lease_owner, None),
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
        rows = [channel_overview(self.store, each, self.rule, self.now_ms, memory, self._alive) for each in Channel]
        return tuple(_channel_facts(row) for row in rows)

    def _newest(self) -> LearnedFacts | None:
        if self._newest_stored is None:
            return None
        version, checkpoint = self._newest_stored
        return learned_facts(verify_checkpoint(checkpoint, version, self.rule), published=True)

    def _in_shadow(self) -> LearnedFacts | None:
        signed = self.store.channel(Channel.SHADOW)
        version = None if signed is None else ChannelRecord.parse(signed.record).version
        if version is None or version not in self.store.versions():
            return None
        return learned_facts(verify_checkpoint(self.store.get_checkpoint(version), version, self.rule), published=True)

    def _differences(self) -> tuple[FileDifference, ...]:
        # Not verified: a checkpoint for other arms would be refused, and the difference is what explains that.
        newest = None if self._newest_stored is None else self._newest_stored[1].parsed()
        return tuple(file_differences(section_digests(self.experiment), self._alive, newest))

    @cached_property
    def _alive(self) -> list[NodeStatus]:
        nothing: list[NodeStatus] = []
        return self._ask(NODES, self.store.nodes, nothing)

    @cached_property
    def _newest_stored(self) -> tuple[str, SignedCheckpoint] | None:
        """The newest checkpoint with its version, unverified."""
        return self._ask(NEWEST, self._read_newest, None)

    def _read_newest(self) -> tuple[str, SignedCheckpoint] | None:
        versions = self.store.versions()
        return (versions[-1], self.store.get_checkpoint(versions[-1])) if versions else None

    def _stable_before(self) -> frozenset[str]:
        signed = self.store.history(channel_slot(Channel.STABLE))
        return frozenset(ChannelRecord.parse(each.record).version for each in signed)

    def _withdrawn_before(self) -> frozenset[str]:
        signed = self.store.history(channel_slot(Channel.CANARY))
        records = [ChannelRecord.parse(each.record) for each in signed]
        return frozenset(each.version for each in records if each.withdrawn)

    def _canary(self) -> str | None:
        try:
            running = running_canary(self.store, self.rule)
        except ComponentUnreachable:
            raise
        except TrimtabError:  # the facts about the channels say what is wrong with a record
            return None
        return None if running is None else running.removeprefix(CANARY_PREFIX)

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


def _channel_facts(row: Mapping[str, Any]) -> ChannelFacts:
    known: dict[str, Any] = {name: row.get(name) for name in CHANNEL_FIELDS}
    return ChannelFacts(**known, refused_by=tuple(each["node"] for each in row["refused_by"]))


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
    if not versions:
        return None
    manifest = shelf.manifest(versions[-1])
    older = frozenset((*versions[:-1], *_ancestors(manifest)))
    return replace(learned_facts(manifest, published=False), older=older)


def _ancestors(manifest: CheckpointManifest) -> list[str]:
    """The versions in the manifest's lineage; malformed entries are left out."""
    listed = manifest.window.get("lineage")
    entries = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
    return [version for each in entries if isinstance(version := each.get("version"), str)]
