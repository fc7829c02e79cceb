"""The guide for clients in other languages names every vector file, and what else it names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from event_schemas.topics import TOPICS
from serving_agent.decide.fallback_reason import FallbackReason
from serving_agent.decide.policy_agent import EXPLORATION, PRODUCTION
from tests.conformance.vector_files import SHAPES

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "docs" / "guides" / "other_languages.md", ROOT / "event_schemas" / "conformance" / "README.md"]
GUIDE = PAGES[0].read_text(encoding="utf-8")


def anchor(heading: str) -> str:
    return re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")


def test_every_vector_file_has_its_clients() -> None:
    table = GUIDE.split("| your client |", 1)[1].split("\n\n", 1)[0]
    assert sorted(re.findall(r"`([a-z0-9_]+)\.json`", table)) == sorted(SHAPES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        name, _, heading = target.partition("#")
        text = (page.parent / name).read_text(encoding="utf-8")
        anchors = {anchor(line.lstrip("# ")) for line in text.splitlines() if line.startswith("#")}
        assert not heading or heading in anchors, target


def test_the_words_are_those_of_the_code() -> None:
    for word in (FallbackReason.NO_POLICY.value, FallbackReason.KILLED.value, EXPLORATION, PRODUCTION):
        assert f"`{word}`" in GUIDE
    for topic in re.findall(r"`<prefix>([a-z-]+)`", GUIDE):
        assert topic in {known.name for known in TOPICS}
