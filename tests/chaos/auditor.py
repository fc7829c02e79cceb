"""Runs `trimtab reconcile --processed` repeatedly while faults are happening."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.chaos.fault_injection import Proof
from tests.chaos.judgement import reconcile
from tests.chaos.stage import Stage


@contextmanager
def auditing(stage: Stage, every_seconds: float | None) -> Iterator[list[Proof]]:
    """Audit every `every_seconds` (None: never); yields the list of proofs so far.

    An audit that a fault interrupts is left out: the broker was down, which says nothing about the join.
    """
    proofs: list[Proof] = []
    done = threading.Event()

    def audit() -> None:
        began = time.monotonic()
        while every_seconds is not None and not done.wait(every_seconds):
            try:
                report = reconcile(stage, "--processed")
            except RuntimeError:
                continue
            after = time.monotonic() - began
            detail = f"{report['inputs']:,} events, {'; '.join(report['differences']) or 'no difference'}"
            proofs.append(Proof(f"exact on the way, after {after:.0f} s", report["ok"], detail))

    thread = threading.Thread(target=audit)
    thread.start()
    try:
        yield proofs
    finally:
        done.set()
        thread.join()
