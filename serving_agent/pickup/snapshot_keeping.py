"""Keeps a node's last good snapshot on its disk, and puts it in force again at the next start."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from event_schemas.directory_lock import DirectoryTaken
from event_schemas.errors import TrimtabError
from policy_store.records import Channel, ReaderMemory
from serving_agent.pickup.channel_watch import ChannelWatch
from serving_agent.pickup.experiment_watch import ExperimentWatch
from serving_agent.pickup.kill_watch import KillWatch
from serving_agent.pickup.node_memory import NodeMemory
from serving_agent.pickup.preference_watch import PreferenceWatch
from serving_agent.pickup.snapshot_disk import SavedSnapshot, SnapshotDisk

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Watches:
    """Everything that a node follows in the store, and the memory that they share."""

    memory: ReaderMemory
    kills: KillWatch
    preference: PreferenceWatch
    channels: Mapping[Channel, ChannelWatch]
    experiments: ExperimentWatch


class SnapshotKeeper:
    """Saves and restores what the watches have accepted; without a disk it does nothing. Used by one thread.

    state     `ok`, or why the disk was not used
    unsaved   whether there is something to save; a failed attempt leaves it so
    """

    def __init__(self, disk: SnapshotDisk | None, watches: Watches) -> None:
        self.state = "ok"
        self.unsaved = False
        self._disk = disk
        self._watches = watches

    def save_news(self) -> None:
        """Saves if something has changed since the last time."""
        # A memory that may have lost a kill must not be overwritten before the store has answered.
        if not self.unsaved or self._disk is None or self._watches.kills.forgotten:
            return
        try:
            self._disk.save(self._snapshot())
            self.state = "ok"
            self.unsaved = False
        except (OSError, DirectoryTaken) as fault:
            self.state = str(fault)
            log.warning("snapshot not saved", what=str(fault))

    def restore(self) -> bool:
        """Restores the last good snapshot, verified again; damaged or unverifiable parts are left out.

        False if there is none.
        """
        saved = None if self._disk is None else self._disk.load()
        if saved is None:
            return False
        watches, faults = self._watches, list[TrimtabError](saved.faults)
        watches.memory.epoch, watches.memory.voided = saved.memory.epoch, set(saved.memory.voided)
        watches.memory.highest = dict(saved.memory.revisions)
        restores: list[Callable[[SavedSnapshot], None]] = [
            watches.kills.restore,
            watches.preference.restore,
            *(watch.restore for watch in watches.channels.values()),
            watches.experiments.restore,
        ]
        for restore in restores:
            try:
                restore(saved)
            except TrimtabError as fault:
                faults.append(fault)
        for each in faults:
            log.warning("snapshot on disk not used", what=each.what, fix=each.fix)
        if faults:
            self.state = "; ".join(map(str, faults))
        self.unsaved = bool(saved.faults)
        return True

    def _snapshot(self) -> SavedSnapshot:
        watches, memory = self._watches, self._watches.memory
        kills = tuple(watches.kills.open_kills.values())
        return SavedSnapshot(
            channels={
                name.value: saved
                for name, watch in watches.channels.items()
                if (saved := watch.state.saved) is not None
            },
            preference=watches.preference.saved,
            experiments=watches.experiments.saved,
            control=kills[-1] if kills else None,
            accepted_in={watch.slot: watch.state.accepted.epoch for watch in watches.channels.values()},
            memory=NodeMemory(
                revisions=dict(memory.highest),
                kills=watches.kills.kills,
                resumes=watches.kills.resumes,
                epoch=memory.epoch,
                voided=frozenset(memory.voided),
            ),
        )
