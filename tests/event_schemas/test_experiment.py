"""The experiment file: a good one is read, a broken one names file, field, value and fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from event_schemas.errors import ExperimentError
from event_schemas.experiment import every_fault, load_experiment

GOOD = """
[experiment]
name = "homefeed"
salt = "pepper"
[[weights]]
name = "repin"
production = 91.6
low = 10
high = 200
steps = 7
[[weights]]
name = "p2p"
production = 9.1
low = 1
high = 30
steps = 7
[[objectives]]
name = "repin"
kinds = ["repin"]
attribution = "30m"
[[objectives]]
name = "p2p"
kinds = ["p2p"]
attribution = "1h"
[join]
allowed_lateness = "5m"
[preference]
alpha_objective = "p2p"
"""


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "trimtab.toml"
    file.write_text(text)
    return file


def test_a_good_file_gives_the_experiment(tmp_path: Path) -> None:
    experiment = load_experiment(written(tmp_path, GOOD))
    assert experiment.name == "homefeed"
    assert experiment.experiment.exploration_rate == 0.0125
    assert experiment.production_share == 0.125
    assert experiment.objective_names == ("repin", "p2p")
    assert experiment.longest_attribution_ms == 3_600_000
    assert experiment.window_ms == 3_900_000
    assert experiment.action_space.arms == 50


BROKEN = {
    "unknown field": (GOOD.replace("salt =", "sault = 1\nsalt ="), "experiment.sault"),
    "missing salt": (GOOD.replace('salt = "pepper"', ""), "experiment.salt"),
    "rate above one": (GOOD.replace('salt = "pepper"', 'salt = "p"\nexploration_rate = 1.5'), "exploration_rate = 1.5"),
    "low above high": (GOOD.replace("low = 10", "low = 300"), "low 300 must be below high 200"),
    "bad duration": (GOOD.replace('"30m"', '"half an hour"'), "objectives.0.attribution = 'half an hour'"),
    "no objectives": (GOOD.split("[[objectives]]")[0], "objectives"),
    "same name twice": (GOOD.replace('name = "p2p"\nkinds', 'name = "repin"\nkinds'), "unique"),
    "alpha of nothing": (GOOD.replace('alpha_objective = "p2p"', 'alpha_objective = "click"'), "'click'"),
    "alpha missing": (GOOD.replace('alpha_objective = "p2p"', ""), "alpha_objective is missing"),
    "two spaces": (
        GOOD + '[catalogue]\nproduction="a"\nfeatures=[]\narms=[{name="a",features=[]},{name="b",features=[]}]',
        "exactly one",
    ),
    "endless window": (GOOD.replace('"30m"', f'"{"9" * 400}d"'), "objectives.0.attribution"),
    "rate of true": (GOOD.replace('salt = "pepper"', 'salt = "p"\nexploration_rate = true'), "a number, not true"),
    "infinite drift": (GOOD + "[gate]\nmax_drift = inf", "gate.max_drift = inf"),
    "no training": (GOOD + '[learner]\ntrain_window = "0s"', "learner.train_window = 0: Input should be greater"),
    "widths below one": (GOOD + "[learner]\nhidden_dims = [64, 0, 32]", "learner.hidden_dims.1 = 0"),
    "seed below zero": (GOOD + "[learner]\nseed = -1", "learner.seed = -1"),
    "kind without a name": (GOOD.replace('kinds = ["p2p"]', 'kinds = [""]'), "objectives.1.kinds.0"),
    "context twice": (GOOD + '[features]\ncontext = [{name = "a"}, {name = "a", kind = "number"}]', "unique"),
    "grid too fine": (GOOD.replace("steps = 7", "steps = 1000"), "1000000 arms"),
    "not toml": ("[experiment", "is not TOML"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_file_is_explained(tmp_path: Path, fault: str) -> None:
    text, named = BROKEN[fault]
    file = written(tmp_path, text)
    with pytest.raises(ExperimentError) as caught:
        load_experiment(file)
    assert named in caught.value.what
    assert str(file) in caught.value.what
    assert caught.value.fix


def test_every_fault_of_a_file_is_to_be_had(tmp_path: Path) -> None:
    file = written(tmp_path, GOOD.replace("steps = 7", "steps = 1").replace('"30m"', '"half an hour"'))
    with pytest.raises(ExperimentError, match=r"and 2 more") as caught:
        load_experiment(file)
    faults = every_fault(caught.value, file)
    assert [fault.what.split(": ")[1].split(" = ")[0] for fault in faults] == [
        "weights.0.steps",
        "weights.1.steps",
        "objectives.0.attribution",
    ]
    assert all("docs/reference/experiment.md" in fault.fix for fault in faults)
    unread = ExperimentError("cannot be read", fix="name another")
    assert every_fault(unread, file) == [unread]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match="cannot be read"):
        load_experiment(tmp_path / "absent.toml")


CATALOGUE = """
[experiment]
name = "items"
salt = "s"
[catalogue]
production = "b"
features = ["price", "new"]
arms_file = "arms.csv"
[[objectives]]
name = "click"
kinds = ["click"]
attribution = "1h"
"""


def test_a_catalogue_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "arms.csv").write_text("\ufeffname,price,new\na,1.5,0\nb,2,1\n", encoding="utf-8")
    space = load_experiment(written(tmp_path, CATALOGUE)).action_space
    assert (space.kind, space.arm_names, space.production_arm) == ("catalogue", ("a", "b"), 1)
    assert space.features.tolist() == [[1.5, 0], [2, 1]]


BROKEN_TABLES = {
    "column missing": (b"name,price\na,1.5\nb,2\n", "lacks the columns ['new']"),
    "cell missing": (b"name,price,new\na,1.5\nb,2,1\n", "catalogue.arms.0.features.1 = None"),
    "cell too many": (b"name,price,new\na,1.5,0,9\nb,2,1\n", "arm 'a' has more cells"),
    "not finite": (b"name,price,new\na,inf,0\nb,2,1\n", "catalogue.arms.0.features.0 = 'inf'"),
    "not text": (b"name,price,new\n\xff,1.5,0\nb,2,1\n", "is not CSV"),
    "empty": (b"", "lacks the columns"),
}


@pytest.mark.parametrize("fault", BROKEN_TABLES)
def test_a_broken_catalogue_file_is_explained(tmp_path: Path, fault: str) -> None:
    table, named = BROKEN_TABLES[fault]
    (tmp_path / "arms.csv").write_bytes(table)
    with pytest.raises(ExperimentError) as caught:
        load_experiment(written(tmp_path, CATALOGUE))
    assert named in caught.value.what
    assert caught.value.fix


BROKEN_CATALOGUES = {
    "features are no list": (CATALOGUE.replace('["price", "new"]', "5"), "catalogue.features = 5"),
    "feature twice": (CATALOGUE.replace('["price", "new"]', '["price", "price"]'), "feature names must be unique"),
    "arms twice": (CATALOGUE.replace("[[obj", '[[catalogue.arms]]\nname = "a"\nfeatures = [1, 2]\n[[obj'), "as well"),
    "no such file": (CATALOGUE.replace("arms.csv", "absent.csv"), "'absent.csv': cannot be read"),
}


@pytest.mark.parametrize("fault", BROKEN_CATALOGUES)
def test_a_broken_catalogue_is_explained(tmp_path: Path, fault: str) -> None:
    (tmp_path / "arms.csv").write_text("name,price,new\na,1.5,0\nb,2,1\n")
    text, named = BROKEN_CATALOGUES[fault]
    with pytest.raises(ExperimentError) as caught:
        load_experiment(written(tmp_path, text))
    assert named in caught.value.what
