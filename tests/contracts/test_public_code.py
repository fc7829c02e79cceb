"""Code that ships is used by code that ships: what only tests call goes, or waits in a list with the reason."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path

from tests.contracts.shipped_code import Definition, ShippedCode, names_shown, read_module

LIST = Path(__file__).with_name("without_callers.toml")
REASONS = {
    name: reason
    for section in tomllib.loads(LIST.read_text(encoding="utf-8")).values()
    for name, reason in section.items()
}


def unused(code: ShippedCode) -> Iterator[Definition]:
    """What nothing shipped uses and no documentation shows: definitions, and settings that nothing reads."""
    for each in code.definitions:
        if (
            each.registered
            or each.kind in ("member", "default")
            or each.name.startswith("__")
            or each.name in code.documented
        ):
            continue
        if each.kind == "field" and not is_setting(code, each):
            continue
        if not (code.attributes[each.name] if each.owner else uses_at_top(code, each)):
            yield each


def uses_at_top(code: ShippedCode, each: Definition) -> bool:
    """Whether its own module reads it, another imports it, or another reads it as an attribute of its module."""
    package, _, module = each.module.rpartition(".")
    return (
        code.modules[each.module].names[each.name] > 0
        or (each.module, each.name) in code.importers
        or any(code.modules[name].attributes[each.name] for name in code.importers.get((package, module), ()))
    )


def is_setting(code: ShippedCode, each: Definition) -> bool:
    """Whether it is a field of a section of the experiment file, or of the settings."""
    return not code.above[each.owner].isdisjoint({"Section", "BaseSettings"})


def test_everything_that_ships_is_used_or_listed(shipped_code: ShippedCode) -> None:
    found = {each.name: str(each) for each in unused(shipped_code)}
    unlisted = [place for name, place in found.items() if name not in REASONS]
    asked = "nothing that ships uses these; use them, remove them, or give the reason in"
    assert unlisted == [], "\n".join([f"{asked} {LIST.name}:", *unlisted])


def test_the_list_holds_nothing_that_is_used_or_gone(shipped_code: ShippedCode) -> None:
    stale = sorted(REASONS.keys() - {each.name for each in unused(shipped_code)})
    assert stale == [], f"take these out of {LIST.name}: {', '.join(stale)}"


def code_of(**sources: str) -> ShippedCode:
    return ShippedCode({name: read_module(name, source) for name, source in sources.items()}, frozenset())


def test_what_only_its_own_definition_or_a_test_uses_is_found() -> None:
    one = (
        "LIMIT, SPARE = 1, 2\ndef dead(n): return dead(n - LIMIT)\nclass Bench:\n  def idle(self): self._step.idle()\n"
    )
    found = [each.name for each in unused(code_of(one=one, other="import one\nfrom one import Bench\n"))]
    assert found == ["SPARE", "dead", "idle"]


def test_importing_reading_and_registering_are_uses() -> None:
    one = "A = 1\nB = 2\nC, D = range(2)\n@app.command()\ndef verb(): return B\nclass Held:\n  def go(self): ...\n"
    other = "from pack import one\nfrom pack.one import Held\nprint(one.A, Held().go())\n"
    assert list(unused(code_of(**{"pack.one": one, "other": other}))) == []


def test_a_setting_is_used_when_something_reads_it() -> None:
    one = "class Spec(Section):\n  read: int\n  idle: int\nclass Row:\n  free: int\n"
    other = "from one import Spec, Row\nprint(Spec().read)\n"
    assert [each.name for each in unused(code_of(one=one, other=other))] == ["idle"]


def test_programs_in_pages_show_names() -> None:
    page = "  ```python\n  node.decide()\n  ```\n\n```sh\npython -c 'print(rows)'\ntrimtab learn\n```\n`idle`\n"
    assert set(names_shown([page])) == {"node", "decide", "python", "c", "print", "rows"}
