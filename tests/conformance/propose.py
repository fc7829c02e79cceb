"""Prints new conformance vectors: `python -m tests.conformance.propose SUBJECT < lines`.

Each line of the input is JSON with `given` and `why`. The output is to be pasted at the end of the subject's file, by
hand and after reading it: this program changes nothing, for what a vector expects must never follow the code. It prints
a vector only where Trimtab's code and the other client, which share none, give the same answer.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any, get_args

from pydantic import TypeAdapter

from event_schemas.errors import TrimtabError
from tests.conformance import other_client, present_code
from tests.conformance.draw_vectors import same
from tests.conformance.vector_files import SHAPES


class AnswersDiffer(TrimtabError):
    """Trimtab's code and the other client do not agree: the rule says too little, or one of them is wrong."""


def propose(subject: str, lines: Iterable[str]) -> Iterator[str]:
    """The vectors for some lines of input, as they stand in a file. Raises AnswersDiffer."""
    for line in lines:
        asked = json.loads(line)
        given = _given_type(subject).validate_json(json.dumps(asked["given"]))
        ours, theirs = present_code.ANSWERS[subject](given), other_client.ANSWERS[subject](given)
        if not same(given, ours, theirs):
            raise AnswersDiffer(
                f"{subject}: Trimtab answers {ours} and the other client {theirs} to {line.strip()}",
                fix="find out which of them follows the rule, and whether the rule is clear",
            )
        yield vector_text({"given": asked["given"], "expected": ours.model_dump(), "why": asked["why"]})


def vector_text(vector: dict[str, Any]) -> str:
    """A vector as it stands in a file: ASCII, each of its three parts on a line of its own."""
    parts = [f"      {json.dumps(name)}: {json.dumps(vector[name])}" for name in ("given", "expected", "why")]
    return "    {\n" + ",\n".join(parts) + "\n    }"


def _given_type(subject: str) -> TypeAdapter[Any]:
    [vector] = get_args(SHAPES[subject].model_fields["vectors"].annotation)
    given: Any = vector.model_fields["given"].annotation
    return TypeAdapter(given)


if __name__ == "__main__":
    print(",\n".join(propose(sys.argv[1], sys.stdin)))
