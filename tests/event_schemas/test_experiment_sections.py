"""Every field of the experiment file is documented."""

from __future__ import annotations

import pytest

from event_schemas import experiment_sections
from event_schemas.experiment_sections import Section

SECTIONS = [v for v in vars(experiment_sections).values() if isinstance(v, type) and issubclass(v, Section)]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda s: s.__name__)
def test_every_field_says_what_it_is(section: type[Section]) -> None:
    assert section.__doc__
    assert all(field.description for field in section.model_fields.values())


def test_durations_are_milliseconds() -> None:
    assert experiment_sections.JoinSpec(allowed_lateness="1m30s").allowed_lateness == 90_000  # type: ignore[arg-type]
