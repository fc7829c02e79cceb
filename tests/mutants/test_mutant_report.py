"""What a run says and what is kept of it."""

from __future__ import annotations

from tests.mutants.accepted_survivors import Comparison
from tests.mutants.mutant_report import record, report
from tests.mutants.mutant_run import Tried
from tests.mutants.mutant_trial import Verdict
from tests.mutants.source_mutants import Mutant, MutantKey


def tried(module: str, after: str, verdict: Verdict) -> Tried:
    return Tried(Mutant(MutantKey(module, "f", "a", after, 1), "deletion", 1, ""), verdict, None)


RUN = [
    tried("m", "1", Verdict.KILLED),
    tried("m", "2", Verdict.TIMED_OUT),
    tried("m", "3", Verdict.SURVIVED),
    tried("n", "4", Verdict.NOT_IMPORTED),
]


def test_a_report_counts_by_module_and_names_what_to_do() -> None:
    keys = [one.mutant.key for one in RUN]
    lines = list(report(RUN, Comparison([keys[2]], [keys[0]], [keys[3]]), 7.4))
    assert lines[:2] == ["m: 3 mutants, 1 killed, 1 survived, 1 timed out", "n: 1 mutants, 1 not imported"]
    assert lines[2:4] == ["listed, but killed: m f: a -> 1 (nth = 1)", "listed, but no mutant: n f: a -> 4 (nth = 1)"]
    assert "after = ['3']" in lines[5]
    assert lines[6] == "4 mutants in 7 s: 2 killed, 2 survived, 1 of them without a reason"


def test_a_run_without_findings_says_so_in_its_last_line() -> None:
    lines = list(report(RUN[:1], Comparison([], [], []), 1.0))
    assert lines[-1] == "1 mutants in 1 s: 1 killed, 0 survived, 0 of them without a reason"


def test_what_is_kept() -> None:
    kept = record(RUN, Comparison([RUN[2].mutant.key], [], []), 7.43, {"commit": "abc"})
    assert kept == {
        "commit": "abc",
        "seconds": 7.4,
        "mutants": 4,
        "survived": 2,
        "without_reason": 1,
        "modules": {
            "m": {"mutants": 3, "killed": 1, "survived": 1, "timed out": 1},
            "n": {"mutants": 1, "not imported": 1},
        },
    }
