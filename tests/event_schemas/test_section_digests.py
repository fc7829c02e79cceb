"""Digests by section: the meaning counts and not the text, and a later release leaves them as they are."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel, Field, create_model

from event_schemas.experiment import Experiment, load_experiment, parse_experiment
from event_schemas.experiment_sections import GateSpec, Section
from event_schemas.section_digests import claim_malformed, claimed_digests, differing_sections, section_digests
from tests.components.experiment_sample import BRIDGED_SOURCE, HOMEFEED

FIRST_DEFAULTS = Path(__file__).with_name("first_defaults.json")
BASE = HOMEFEED + '\n[gate]\nmargin = 0.02\n\n[[cohorts]]\nname = "CORE"\n'
CATALOGUE = """
[experiment]
name = "shelf"
salt = "pepper"
[catalogue]
production = "a"
features = ["price", "age"]
{arms}
[[objectives]]
name = "click"
kinds = ["click"]
attribution = "30m"
"""


def digests(text: str) -> dict[str, str]:
    return section_digests(parse_experiment(tomllib.loads(text), Path("trimtab.toml")))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('attribution = "30m"', 'attribution = "1800s"  # half an hour'),
        ("low = 10\nhigh = 200", "high = 2e2\nlow = 10.0"),
        ("clip = 1\n", ""),
        ("exploration_rate = 0.0125\n", ""),
        ("[preference]", "[features]\n[learner]\nepochs = 10\n\n[serving]\npoll = '5s'\n[preference]"),
    ],
)
def test_the_text_does_not_count(old: str, new: str) -> None:
    assert old in BASE
    assert digests(BASE.replace(old, new, 1)) == digests(BASE)


@pytest.mark.parametrize(
    ("section", "old", "new"),
    [
        ("experiment", 'salt = "pepper"', 'salt = "salt"'),
        ("weights", "production = 91.6", "production = 91.5"),
        ("objectives", "clip = 2", "clip = 3"),
        ("cohorts", "[[cohorts]]", '[[cohorts]]\nname = "NEW"\n[[cohorts]]'),
        ("guardrails", "[[cohorts]]", '[[guardrails]]\nname = "sessions"\n[[cohorts]]'),
        ("features", "[gate]", "[features]\nhash_buckets = 7\n[gate]"),
        ("join", 'clock = "replay"', 'clock = "live"'),
        ("learner", "[gate]", "[learner]\nseed = 8\n[gate]"),
        ("gate", "[gate]", '[gate]\napproval = "auto"'),
        ("preference", "alpha = 0.1", "alpha = 0.2"),
        ("serving", "[gate]", '[serving]\non_stale = "fallback"\n[gate]'),
        ("bridge", "[gate]", BRIDGED_SOURCE.format(topic="saves") + "[gate]"),
    ],
)
def test_a_value_changes_the_digest_of_its_section_alone(section: str, old: str, new: str) -> None:
    assert old in BASE
    assert differing_sections(digests(BASE), digests(BASE.replace(old, new, 1))) == (section,)


def test_an_arms_file_counts_by_its_content(tmp_path: Path) -> None:
    def shelf(name: str, arms: str) -> dict[str, str]:
        file = tmp_path / name
        file.write_text(CATALOGUE.format(arms=arms), encoding="utf-8")
        return section_digests(load_experiment(file))

    (tmp_path / "arms.csv").write_text("name,price,age\na,1,2\nb,3,4\n", encoding="utf-8")
    (tmp_path / "copy.csv").write_text("age,name,price\r\n2.0,a,1\r\n4,b,3e0\r\n", encoding="utf-8")
    (tmp_path / "other.csv").write_text("name,price,age\na,1,2\nb,3,5\n", encoding="utf-8")
    listed = "".join(
        f'[[catalogue.arms]]\nname = "{name}"\nfeatures = {row}\n' for name, row in (("a", [1, 2]), ("b", [3, 4]))
    )
    ours = shelf("ours.toml", 'arms_file = "arms.csv"')
    assert ours == shelf("copied.toml", 'arms_file = "copy.csv"') == shelf("listed.toml", listed)
    assert differing_sections(ours, shelf("theirs.toml", 'arms_file = "other.csv"')) == ("catalogue",)


def test_a_later_release_may_add_optional_fields_and_sections() -> None:
    gate = create_model("GateSpec", __base__=GateSpec, max_looks=(int, 12))
    later = create_model(
        "Experiment", __base__=Experiment, gate=(gate, Field(default_factory=gate)), canary=(Section, Section())
    )
    document = tomllib.loads(BASE)
    assert section_digests(later.model_validate(document)) == digests(BASE)
    document["gate"]["max_looks"] = 13
    assert differing_sections(digests(BASE), section_digests(later.model_validate(document))) == ("gate",)
    del document["gate"]
    assert section_digests(later.model_validate(document)).keys() == digests(HOMEFEED).keys() | {"cohorts"}


def test_the_first_defaults_stay_what_is_left_out() -> None:
    pinned = json.loads(FIRST_DEFAULTS.read_text(encoding="utf-8"))
    assert dict(_defaults(Experiment, "")) == pinned, (
        "add a new field to first_defaults.json; for a changed default, leave out the first one in section_digests too"
    )


def _defaults(model: type[BaseModel], path: str) -> Iterator[tuple[str, Any]]:
    """The default of every optional field that is not a section, by its path."""
    for name, field in model.model_fields.items():
        nested = [each for each in (field.annotation, *_inside(field.annotation)) if _is_section(each)]
        for section in nested:
            yield from _defaults(section, f"{path}{name}.")
        if not nested and not field.is_required():
            yield f"{path}{name}", json.loads(json.dumps(field.get_default(call_default_factory=True)))


def _inside(annotation: Any) -> Iterator[Any]:
    for each in get_args(annotation):
        yield each
        yield from _inside(each)


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Section)


def test_sections_of_an_unknown_release_are_named_last() -> None:
    ours, theirs = {"gate": "1", "weights": "2"}, {"gate": "3", "weights": "4", "audience": "5"}
    assert differing_sections(ours, theirs) == ("weights", "gate", "audience")
    assert differing_sections(ours, dict(ours)) == ()


@pytest.mark.parametrize("claim", [None, {}, [], "gate", {"gate": 1}, {1: "gate"}])
def test_what_is_not_a_claim_is_none(claim: Any) -> None:
    assert claimed_digests(claim) is None
    assert claimed_digests({"gate": "1"}) == {"gate": "1"}
    assert claim_malformed(claim) == (claim not in (None, {}))
    assert not claim_malformed({"gate": "1"})
