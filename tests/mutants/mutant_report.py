"""What a run says: totals by module, survivors without a reason, and the line that is kept of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.mutants.accepted_survivors import SURVIVORS, Comparison, entries
from tests.mutants.mutant_run import Tried
from tests.mutants.mutant_trial import Verdict


def verdicts_by_module(tried: Sequence[Tried]) -> dict[str, Counter[Verdict]]:
    """How many mutants of each module got each verdict."""
    found: dict[str, Counter[Verdict]] = {}
    for one in tried:
        found.setdefault(one.mutant.key.module, Counter())[one.verdict] += 1
    return found


def report(tried: Sequence[Tried], comparison: Comparison, seconds: float) -> Iterator[str]:
    """The lines about a run; survivors without a reason as entries to complete."""
    for module, verdicts in verdicts_by_module(tried).items():
        counts = ", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items()))
        yield f"{module}: {verdicts.total()} mutants, {counts}"
    yield from (f"listed, but killed: {key} (nth = {key.nth})" for key in comparison.killed)
    yield from (f"listed, but no mutant: {key} (nth = {key.nth})" for key in comparison.gone)
    if comparison.unexplained:
        yield f"\nkill these with a better test, or give them a reason in {SURVIVORS.name}:\n"
        yield entries(dict.fromkeys(comparison.unexplained, ""))
    survivors = sum(one.survived for one in tried)
    yield (
        f"{len(tried)} mutants in {seconds:.0f} s: {len(tried) - survivors} killed, {survivors} survived,"
        f" {len(comparison.unexplained)} of them without a reason"
    )


def record(tried: Sequence[Tried], comparison: Comparison, seconds: float, run: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of a run over all modules; `run` says when, of which commit and on which machine."""
    return {
        **run,
        "seconds": round(seconds, 1),
        "mutants": len(tried),
        "survived": sum(one.survived for one in tried),
        "without_reason": len(comparison.unexplained),
        "modules": {
            module: {"mutants": verdicts.total(), **{str(verdict): n for verdict, n in sorted(verdicts.items())}}
            for module, verdicts in verdicts_by_module(tried).items()
        },
    }
