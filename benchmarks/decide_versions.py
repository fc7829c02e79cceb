"""`python -m benchmarks.decide_versions --base PATH`: what a decision costs, compared with another checkout.

Both checkouts decide the same requests on a grid of 50 arms in short turns, each in a process of its own that stays for
all rounds: exploring, without a policy, and with a policy that answers with values. The last two are also decided under
an exploration cap here, and without one there. This checkout also explores a box, and serves policies that answer with
distributions. Nothing is encoded or sent. The figures are medians of CPU time, and
their ratios to the base are medians over the rounds. A round is some tens of milliseconds, so that other load of the
machine meets both checkouts alike.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer

from benchmarks.bench_broker import EXPERIMENT, tell
from benchmarks.checkout_process import ROOT, CheckoutProcess, base_checkout
from benchmarks.command_line import report, run_command
from benchmarks.results_folder import RESULTS, append_result

SCRIPT = Path(__file__).with_name("decide_run.py")
PACKAGE = "serving_agent"
EXPLORING = {"exploration_rate": 1.0}
SERVING = {"exploration_rate": 0.0, "control_rate": 0.0, "log_rate": 0.0}
Case = dict[str, Any]
Figures = dict[str, float]
Rounds = list[list[Figures]]
"""For each round the figures of this checkout, and those of the base if it has the case."""


def case(name: str, drawn: str, rates: Mapping[str, Any], policy: str | None = None, box: bool = False) -> Case:
    """What a process has to run; `drawn` is the slice of every decision."""
    experiment = str(EXPERIMENT.resolve())
    return {"name": name, "slice": drawn, "experiment": experiment, "rates": rates, "policy": policy, "box": box}


CAP = {"exploration_cap": 1_000.0}
IN_BOTH = [
    case("explore", "EXPLORE", EXPLORING),
    case("no_policy", "FALLBACK", SERVING),
    case("values", "POLICY", SERVING, "values"),
    case("no_policy_capped", "FALLBACK", SERVING | CAP),
    case("values_capped", "POLICY", SERVING | CAP, "values"),
]
"""An older base knows no cap."""
ONLY_HERE = [
    case("explore_by_session", "EXPLORE", {**EXPLORING, "exploration_unit": "session"}),
    case("explore_box", "EXPLORE", EXPLORING, box=True),
    case("probabilities", "POLICY", SERVING, "probabilities"),
    case("proposal", "POLICY", SERVING, "proposal", box=True),
]


def measure(base: Path, decisions: int, rounds: int) -> dict[str, Any]:
    """Run each case in both checkouts in turns, every other round in reverse order; a first round is not counted."""
    checkout = base_checkout(base, [PACKAGE])
    found = dict[str, Rounds]()
    with ExitStack() as held:
        there = _deciding(checkout, [uncapped(case) for case in IN_BOTH], decisions)
        held.callback(there.close)
        here = _deciding(ROOT, [*IN_BOTH, *ONLY_HERE], decisions)
        held.callback(here.close)
        for name in (case["name"] for case in [*IN_BOTH, *ONLY_HERE]):
            sides = [here] if name in {case["name"] for case in ONLY_HERE} else [here, there]
            found[name] = [_turn(name, sides, backwards=bool(turn % 2)) for turn in range(rounds + 1)][1:]
            tell(f"{name}: {rounds} rounds")
    return {"cases": {name: compared(each) for name, each in found.items()}, "decisions": decisions, "rounds": rounds}


def uncapped(case: Case) -> Case:
    """The same case without an exploration cap."""
    return case | {"rates": {name: rate for name, rate in case["rates"].items() if name not in CAP}}


def _deciding(checkout: Path, cases: Sequence[Case], decisions: int) -> CheckoutProcess:
    return CheckoutProcess("agent", checkout, SCRIPT, [str(decisions), json.dumps(cases)])


def _turn(name: str, sides: Sequence[CheckoutProcess], *, backwards: bool) -> list[Figures]:
    """One round of a case in each process, the last one first if `backwards`; figures in the order of `sides`."""
    if backwards:
        return [side.measure(name) for side in reversed(sides)][::-1]
    return [side.measure(name) for side in sides]


def compared(rounds: Rounds) -> Figures:
    """The median microseconds of this checkout and, if the base has the case, there and the median of the ratios."""
    here = [sides[0] for sides in rounds]
    figures = {what: round(median(each[what] for each in here), 2) for what in ("decide_us", "applied_us")}
    if len(rounds[0]) > 1:
        figures["base_decide_us"] = round(median(base["decide_us"] for _, base in rounds), 2)
        ratios = [now["decide_us"] / base["decide_us"] for now, base in rounds]
        figures["ratio_to_base"] = round(median(ratios), 4)
    return figures


def main(
    base: Annotated[Path, typer.Option(help="A checkout of the commit to compare with.")],
    decisions: Annotated[int, typer.Option(min=1, help="Decisions of each case in a round.")] = 200,
    rounds: Annotated[int, typer.Option(min=1, help="Number of rounds; medians are reported.")] = 101,
    results: Annotated[Path, typer.Option(help="Folder for the figures.")] = RESULTS,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Measure what a decision costs, compared with another checkout.

    Example: python -m benchmarks.decide_versions --base ../before --json
    """
    result = measure(base, decisions, rounds)
    append_result(results, "decide_versions", result)
    report(result, as_json)


if __name__ == "__main__":
    run_command(main)
