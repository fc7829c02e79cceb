"""The mapping file: what it may contain, what it must fit, and how its errors read."""

from __future__ import annotations

from pathlib import Path

import pytest

from producers.replay.column_mapping import ColumnMapping, MappingError, fill, load_mapping, placeholders
from tests.box_samples import box_experiment
from tests.producers.replay_samples import EXPERIMENT, MAPPING, shelf_experiment

SYNTHETIC = """
[engagements.synthetic_delay]
mean = "5m"
cap = "55m"
"""


def mapping(folder: Path, text: str = MAPPING) -> ColumnMapping:
    path = folder / "mapping.toml"
    path.write_text(text, encoding="utf-8")
    return load_mapping(path)


def test_it_knows_every_column_it_reads(tmp_path: Path) -> None:
    text = MAPPING.replace('"{file}-{row}"', '"{file}-{row}-{batch}"')
    assert mapping(tmp_path, text).columns() == (
        "batch",
        "when",
        "user",
        "surface",
        "hour",
        "item",
        "p",
        "clicks",
        "clicked_at",
    )


def test_durations_read_as_elsewhere(tmp_path: Path) -> None:
    marked = "\ufeff" + MAPPING.replace('event_time = "clicked_at"', SYNTHETIC)
    delay = mapping(tmp_path, marked).engagements[0].synthetic_delay
    assert delay is not None
    assert (delay.mean, delay.cap) == (300_000, 3_300_000)


def test_templates_take_the_file_the_row_and_columns() -> None:
    assert placeholders("{file}-{row}-{shop}/{user}") == ("shop", "user")
    assert fill("{file}-{row}-{shop}", "log", 4, {"shop": 9}) == "log-4-9"
    with pytest.raises(ValueError, match="shop is missing"):
        fill("{shop}", "log", 4, {"shop": None})


@pytest.mark.parametrize(
    ("wrong", "right", "message"),
    [
        ('propensity = "p"', 'odds = "p"', "propensity.propensity: Field required"),
        ('user_id = "user"', "user_id = 5", "request.user_id = 5: Input should be a valid string"),
        ('arm = "item"', 'arm = "item"\narm_is = "number"', "action.arm_is = 'number'"),
        ('kind = "click"', 'kind = "click"\nweight = "w"', "engagements[0].weight = 'w': Extra inputs"),
        ('event_time = "clicked_at"', "", "give exactly one of event_time"),
        ('event_time = "clicked_at"', SYNTHETIC.replace("5m", "soon"), "'soon' is not a duration"),
        ("[propensity]", "[propensity", "is not TOML"),
    ],
)
def test_errors_name_file_field_value_and_fix(tmp_path: Path, wrong: str, right: str, message: str) -> None:
    with pytest.raises(MappingError) as caught:
        mapping(tmp_path, MAPPING.replace(wrong, right))
    assert str(tmp_path / "mapping.toml") in caught.value.what
    assert message in caught.value.what
    assert caught.value.fix.startswith("fix ")


def test_a_mapping_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="No such file"):
        load_mapping(tmp_path / "nothing.toml")


def test_a_fitting_mapping_passes(tmp_path: Path) -> None:
    mapping(tmp_path).check_against(shelf_experiment(tmp_path))


def test_a_required_feature_must_be_mapped(tmp_path: Path) -> None:
    unmapped = mapping(tmp_path, MAPPING.replace('surface = "surface"', ""))
    with pytest.raises(MappingError, match=r"request\.context lacks 'surface'"):
        unmapped.check_against(shelf_experiment(tmp_path))


def test_an_embedding_the_experiment_has_must_be_mapped(tmp_path: Path) -> None:
    experiment = shelf_experiment(tmp_path, EXPERIMENT + "\n[features]\nuser_embedding_dim = 4\n")
    with pytest.raises(MappingError, match=r"request\.user_embedding is missing"):
        mapping(tmp_path, MAPPING).check_against(experiment)


def test_a_box_cannot_be_replayed_because_its_vectors_are_in_no_column(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="explores a box, and a mapping has no columns for vectors") as refused:
        mapping(tmp_path).check_against(box_experiment())
    assert "other_languages.md" in refused.value.fix


def test_a_made_up_delay_stays_inside_the_attribution(tmp_path: Path) -> None:
    text = MAPPING.replace('event_time = "clicked_at"', SYNTHETIC.replace("55m", "2h"))
    with pytest.raises(MappingError, match="is longer than the attribution of 'click'"):
        mapping(tmp_path, text).check_against(shelf_experiment(tmp_path))
