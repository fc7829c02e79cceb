"""CPU time, current memory and peak memory of a process and its descendants, read from /proc."""

from __future__ import annotations

import bisect
import os
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")
SAMPLE_SECONDS = 0.05
FAMILY_SECONDS = 0.5
PARENT, CPU = 1, slice(11, 15)
"""Fields of /proc/<pid>/stat after the name: the parent; user and system ticks, including ended children."""


def stat_fields(text: str) -> list[str]:
    """The fields after the process name, which may contain spaces and parentheses."""
    return text[text.rindex(")") + 2 :].split()


def descendants(root: int, parents: Mapping[int, int]) -> set[int]:
    """`root` and all its descendants; `parents` maps each process to its parent."""
    family = {root} & parents.keys()
    while True:
        more = {pid for pid, parent in parents.items() if parent in family} - family
        if not more:
            return family
        family |= more


def family_of(root: int) -> set[int]:
    """The processes of the tree that exist now."""
    parents = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (text := _read(entry / "stat")):
            parents[int(entry.name)] = int(stat_fields(text)[PARENT])
    return descendants(root, parents)


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of these processes and of their ended children."""
    texts = (_read(PROC / str(pid) / "stat") for pid in pids)
    return sum(sum(map(int, stat_fields(text)[CPU])) for text in texts if text) / TICKS


def memory_mb(pids: Iterable[int], key: str) -> float:
    """Sum of a field of /proc/<pid>/status in MiB: `VmRSS` is the current memory, `VmHWM` the peak."""
    texts = (_read(PROC / str(pid) / "status") for pid in pids)
    return sum(status_kb(text, key) for text in texts) / 1024


def status_kb(text: str, key: str) -> int:
    """One field of a status file, in KiB; 0 if it is missing."""
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith(f"{key}:")), 0)


@dataclass
class CpuCurve:
    """CPU seconds used up to each sampled instant; values in between are interpolated."""

    instants: list[float] = field(default_factory=list)
    used: list[float] = field(default_factory=list)

    def add(self, instant: float, used: float) -> None:
        self.instants.append(instant)
        self.used.append(max(used, self.used[-1] if self.used else 0.0))

    def at(self, instant: float) -> float:
        """CPU seconds used up to `instant`; before the first and after the last sample, the value of that sample."""
        if not self.instants:
            return 0.0
        after = bisect.bisect_left(self.instants, instant)
        if after == 0:
            return self.used[0]
        if after == len(self.instants):
            return self.used[-1]
        before = after - 1
        share = (instant - self.instants[before]) / (self.instants[after] - self.instants[before])
        return self.used[before] + share * (self.used[after] - self.used[before])

    def between(self, start: float, end: float) -> float:
        return self.at(end) - self.at(start)


class TreeSampler(threading.Thread):
    """Samples the process tree of `root` twenty times a second until `stop()`."""

    def __init__(self, root: int) -> None:
        super().__init__(daemon=True, name=f"sampler-{root}")
        self.cpu = CpuCurve()
        self.peak_rss_mb = 0.0
        self.rss_mb: list[tuple[float, float]] = []
        """Memory over time: (instant, MiB)."""
        self._root = root
        self._ended = threading.Event()

    def run(self) -> None:
        family, next_look = {self._root}, 0.0
        while not self._ended.wait(SAMPLE_SECONDS):
            now = time.time()
            if now >= next_look:
                next_look = now + FAMILY_SECONDS
                family = family_of(self._root)
                self._look_at_memory(now, family)
            self.cpu.add(now, cpu_seconds(family))

    def stop(self) -> None:
        """Stop sampling; call it while the tree is still running, or its last half second is lost."""
        self._ended.set()
        self.join()
        self._look_at_memory(time.time(), family_of(self._root))

    def _look_at_memory(self, now: float, family: set[int]) -> None:
        self.peak_rss_mb = max(self.peak_rss_mb, memory_mb(family, "VmHWM"))
        self.rss_mb.append((now, memory_mb(family, "VmRSS")))


def _read(path: Path) -> str:
    """A file of /proc; empty when its process has ended."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
