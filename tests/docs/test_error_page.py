"""The page of errors finds every class and spells messages as people see them."""

from __future__ import annotations

import ast

from docs.error_page import ErrorClass, Message, _messages, errors

CLASSES = {"Broken": ErrorClass(("TrimtabError",), "It broke.", "trimtab")}
SOURCE = """
FIX = "start it"
KINDS = ("a", "b")

def check(name, rows, fault):
    raise Broken(f"{name} is {rows[0]} of {len(rows)}: {fault.args[0]!r}" " rows", fix=FIX)
    raise Broken(f"{name}: not {' or '.join(KINDS)}", fix=f"choose from {KINDS} and {FIX}")
    raise Broken(what, fix=FIX)
    raise ValueError("no error of ours", fix=FIX)
"""


def test_messages_show_where_values_go() -> None:
    assert list(_messages(ast.parse(SOURCE), CLASSES, {})) == [
        Message("Broken", "<name> is <rows> of <rows>: <fault> rows", "start it"),
        Message("Broken", "<name>: not <KINDS>", "choose from <KINDS> and start it"),
    ]


def test_the_page_has_a_heading_for_each_error_and_no_bare_values() -> None:
    page = "\n".join(errors())
    for name in ("ExperimentError", "RightMissing", "LogReplaced", "ExamplesLost", "ContractMismatch"):
        assert f"### `{name}`" in page
    assert "| &lt;what&gt; |" not in page
