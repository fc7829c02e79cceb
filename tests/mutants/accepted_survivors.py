"""The mutants that may survive, each with the reason why: `survivors.toml`."""

from __future__ import annotations

import json
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from event_schemas.errors import TrimtabError
from tests.mutants.source_mutants import MutantKey

SURVIVORS = Path(__file__).with_name("survivors.toml")
FIELDS = {"module", "function", "before", "after", "reason"}


class SurvivorsBroken(TrimtabError):
    """The file of accepted survivors cannot be read."""


@dataclass(frozen=True)
class Comparison:
    """Survivors without a reason, and accepted ones that were killed or are no mutants any more."""

    unexplained: list[MutantKey]
    killed: list[MutantKey]
    gone: list[MutantKey]


def read_survivors(path: Path = SURVIVORS) -> dict[MutantKey, str]:
    """The reason of each accepted survivor; raises SurvivorsBroken.

    An entry names a line and what may stand in its place (`after`, a list); `nth` tells apart equal mutants of one
    function.
    """
    found: dict[MutantKey, str] = {}
    for entry in tomllib.loads(path.read_text(encoding="utf-8")).get("survivor", []):
        for key in _keys(entry, path):
            if key in found:
                raise SurvivorsBroken(f"{path.name} names a mutant twice: {key}", fix="delete one of the two")
            found[key] = entry["reason"]
    return found


def compare(tried: Mapping[MutantKey, bool], accepted: Iterable[MutantKey]) -> Comparison:
    """What differs between a run and the accepted survivors; `tried` tells of each mutant whether it survived.

    Accepted survivors in modules of which no mutant was tried are left aside.
    """
    accepted = set(accepted)
    modules = {key.module for key in tried}
    return Comparison(
        unexplained=[key for key, survived in tried.items() if survived and key not in accepted],
        killed=[key for key, survived in tried.items() if not survived and key in accepted],
        gone=sorted(key for key in accepted if key.module in modules and key not in tried),
    )


def entries(reasons: Mapping[MutantKey, str]) -> str:
    """The text of a file that gives these reasons; mutants of one line that share a reason share an entry."""
    grouped: defaultdict[tuple[MutantKey, str], list[str]] = defaultdict(list)
    for key, reason in reasons.items():
        grouped[(key._replace(after=""), reason)].append(key.after)
    return "\n".join(_entry(key, after, reason) for (key, reason), after in grouped.items())


def _entry(key: MutantKey, after: Sequence[str], reason: str) -> str:
    lines = ["[[survivor]]"]
    lines += [f"{name} = {_quoted(getattr(key, name))}" for name in ("module", "function", "before")]
    if len(after) == 1:
        lines += [f"after = [{_quoted(after[0])}]"]
    else:
        lines += ["after = [", *(f"    {_quoted(text)}," for text in after), "]"]
    if key.nth != 1:
        lines += [f"nth = {key.nth}"]
    return "\n".join([*lines, f"reason = {_quoted(reason)}", ""])


def _quoted(text: str) -> str:
    """A TOML string: as it is where possible."""
    return f"'{text}'" if "'" not in text else json.dumps(text, ensure_ascii=False)


def _keys(entry: Mapping[str, Any], path: Path) -> list[MutantKey]:
    if set(entry) - {"nth"} != FIELDS or not str(entry["reason"]).strip():
        raise SurvivorsBroken(f"{path.name} has the entry {dict(entry)}", fix=f"give it {', '.join(sorted(FIELDS))}")
    function, before, nth = entry["function"], entry["before"], entry.get("nth", 1)
    return [MutantKey(entry["module"], function, before, after, nth) for after in entry["after"]]
