"""The exception tree: callers catch one type, people read what and how to fix."""

from __future__ import annotations

import pytest

from event_schemas.errors import TrimtabError
from serving_agent.decide.decision_errors import InvalidConfirmation, InvalidDecision, InvalidRequest


@pytest.mark.parametrize("kind", [InvalidRequest, InvalidConfirmation])
def test_callers_catch_one_type(kind: type[InvalidDecision]) -> None:
    with pytest.raises(InvalidDecision) as caught:
        raise kind("eligible = [99]", fix="send known arms")
    assert isinstance(caught.value, TrimtabError)
    assert (caught.value.what, caught.value.fix) == ("eligible = [99]", "send known arms")
