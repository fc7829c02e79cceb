"""What is wrong with a text that should be JSON, in words."""

from __future__ import annotations

import json


def json_fault(fault: ValueError | RecursionError) -> str:
    """The error of `json.loads` in a few words, with the place in the text if it names one.

    The decoder counts lines and columns from the beginning of its own text, which is one line of a file or one record:
    only the number of the character helps there.
    """
    if isinstance(fault, json.JSONDecodeError):
        if fault.pos >= len(fault.doc.rstrip()):
            length = len(fault.doc.rstrip())
            return f"it ends after {length} {'character' if length == 1 else 'characters'}, before the JSON is complete"
        return f"{fault.msg[:1].lower()}{fault.msg[1:]} at character {fault.pos + 1}"
    if isinstance(fault, UnicodeDecodeError):
        return f"byte {fault.start + 1} is not {fault.encoding.upper()}"
    if isinstance(fault, RecursionError):
        return "it is nested too deeply"
    return "a number in it has too many digits"
