"""A public name that many files define has one meaning in all of them, and a list says which."""

from __future__ import annotations

import tomllib
from pathlib import Path

from tests.contracts.shipped_code import Definition, ShippedCode, read_module

LIST = Path(__file__).with_name("shared_names.toml")
MEANINGS: dict[str, str] = tomllib.loads(LIST.read_text(encoding="utf-8"))
MANY = 3


def shared(code: ShippedCode) -> dict[str, list[str]]:
    """Public names that MANY or more files define by themselves, with the places."""
    places: dict[str, dict[str, str]] = {}
    for each in code.definitions:
        private = each.name.startswith("_") or each.owner.startswith("_")
        if not private and each.kind not in ("field", "default") and not implements(code, each):
            places.setdefault(each.name, {})[each.module] = str(each)
    return {name: sorted(found.values()) for name, found in places.items() if len(found) >= MANY}


def implements(code: ShippedCode, each: Definition) -> bool:
    """Whether a method is that of a class above, or of a protocol all of whose methods its class has."""
    if not each.owner:
        return False
    return any(
        each.name in code.methods[other] and (other in code.above[each.owner] or has_all_of(code, each.owner, other))
        for other in code.methods
        if other != each.owner
    )


def has_all_of(code: ShippedCode, name: str, protocol: str) -> bool:
    """Whether a class has every method of a protocol, by itself or from above."""
    return "Protocol" in code.above[protocol] and code.methods_of(protocol) <= code.members_of(name)


def test_names_that_many_files_define_are_listed_with_their_one_meaning(shipped_code: ShippedCode) -> None:
    unlisted = [f"{name}: {', '.join(at)}" for name, at in shared(shipped_code).items() if name not in MEANINGS]
    assert unlisted == [], "\n".join([f"name them apart, or give the one meaning in {LIST.name}:", *unlisted])


def test_the_list_is_sorted_and_holds_nothing_else(shipped_code: ShippedCode) -> None:
    stale = sorted(MEANINGS.keys() - shared(shipped_code).keys())
    assert stale == [], f"take these out of {LIST.name}: {', '.join(stale)}"
    assert list(MEANINGS) == sorted(MEANINGS)


def test_implementations_of_one_interface_are_not_counted() -> None:
    parts = {
        "protocol": "class Source(Protocol):\n  def poll(self): ...\n  @property\n  def name(self): ...\n",
        "one": "class Kafka:\n  name = 'kafka'\n  def poll(self): ...\n",
        "other": "class Memory(Base):\n  def poll(self): ...\n",
        "base": "class Base:\n  def name(self): ...\n",
        "apart": "class Queue:\n  def poll(self): ...\n",
        "last": "def poll(): ...\n",
    }
    code = ShippedCode({name: read_module(name, source) for name, source in parts.items()}, frozenset())
    assert shared(code) == {"poll": ["apart.Queue.poll", "last.poll", "protocol.Source.poll"]}
