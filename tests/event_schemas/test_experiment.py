"""The experiment file: a good one is read, a broken one names file, field, value and fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from event_schemas.errors import ExperimentError
from event_schemas.experiment import BrokenFields, load_experiment
from event_schemas.exploration import ExplorationSettings
from event_schemas.units import MINUTE_MS
from tests.components.experiment_sample import BRIDGED_SOURCE

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
BOX = GOOD.replace("steps = 7\n", "")
NORMAL = (
    BOX.replace("[[weights]]", 'exploration_kind = "normal"\n[[weights]]', 1)
    .replace("high = 200", "high = 200\nsd = 30")
    .replace("high = 30", "high = 30\nsd = 4")
)
GROUPED = GOOD.replace("steps = 7", 'steps = 7\ngroup = "saves"')
RATES = (
    "exploration_rate = 0.02",
    "control_rate = 0.02",
    "log_rate = 0.02",
    "production_share = 0.2",
    'exploration_unit = "session"',
)


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "trimtab.toml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_good_file_gives_the_experiment(tmp_path: Path, mark: str) -> None:
    experiment = load_experiment(written(tmp_path, mark + GOOD))
    assert experiment.name == "homefeed"
    assert experiment.experiment.exploration_rate == 0.0125
    assert experiment.production_share == 0.125
    assert experiment.objective_names == ("repin", "p2p")
    assert experiment.longest_attribution_ms == 3_600_000
    assert experiment.window_ms == 3_900_000
    assert experiment.action_space.arms == 50


def test_weights_without_steps_are_a_box(tmp_path: Path) -> None:
    experiment = load_experiment(written(tmp_path, BOX))
    space = experiment.action_space
    assert (space.kind, space.arms, space.weights_by_name(1)) == ("box", 2, {"repin": 91.6, "p2p": 9.1})
    assert experiment.production_share == experiment.exploration.production_share == 0.125
    assert (experiment.exploration.kind, experiment.exploration.sd) == ("uniform", ())


def test_normal_exploration_has_the_sd_of_every_weight(tmp_path: Path) -> None:
    text = NORMAL.replace('"normal"', '"normal"\nexploration_unit = "session"\nproduction_share = 0')
    experiment = load_experiment(written(tmp_path, text))
    assert experiment.exploration == ExplorationSettings(
        action_space=experiment.action_space.digest,
        kind="normal",
        unit="session",
        salt="pepper",
        exploration_rate=0.0125,
        control_rate=0.0,
        log_rate=0.01,
        production_share=0.0,
        sd=(30.0, 4.0),
    )
    assert experiment.action_space.digest == load_experiment(written(tmp_path, BOX)).action_space.digest


def test_the_settings_change_with_each_rate_and_not_with_the_rest(tmp_path: Path) -> None:
    def digest(text: str) -> str:
        return load_experiment(written(tmp_path, text)).exploration.digest

    rated = {digest(GOOD.replace("[[weights]]", f"{line}\n[[weights]]", 1)) for line in RATES}
    assert len(rated - {digest(GOOD)}) == len(RATES)
    assert digest(GOOD.replace('"homefeed"', '"other"').replace('"5m"', '"6m"')) == digest(GOOD)


def test_sd_may_be_as_small_or_large_as_its_bounds(tmp_path: Path) -> None:
    for sd in (190 * 1e-6, 190 * 1e3):
        text = NORMAL.replace("sd = 30", f"sd = {sd!r}")
        assert load_experiment(written(tmp_path, text)).exploration.sd[0] == sd


def test_only_what_is_optimised_is_weighed_and_everything_is_counted(tmp_path: Path) -> None:
    watched = (
        '[[objectives]]\nname = "hides"\nkinds = ["hide"]\nattribution = "2h"\nrole = "signal"\n'
        '[[guardrails]]\nname = "visits"\nkinds = ["visit"]\n[[guardrails]]\nname = "later"\n'
    )
    experiment = load_experiment(written(tmp_path, GOOD.replace("[join]", watched + "[join]")))
    assert experiment.objective_names == ("repin", "p2p")
    assert [(each.name, each.role, each.attribution) for each in experiment.counted] == [
        ("repin", "optimise", 30 * MINUTE_MS),
        ("p2p", "optimise", 60 * MINUTE_MS),
        ("hides", "signal", 120 * MINUTE_MS),
        ("visits", "guardrail", 120 * MINUTE_MS),
    ]
    assert experiment.kinds == {"repin", "p2p", "hide", "visit"}
    assert experiment.longest_attribution_ms == 120 * MINUTE_MS


PER_SESSION = '[[guardrails]]\nname = "visits"\nkinds = ["visit"]\nper = "session"\n'
PER_DAY = PER_SESSION.replace('"session"', '"user-day"')
SIGNAL = PER_SESSION.replace("[[guardrails]]", "[[objectives]]").replace(
    "per", 'attribution = "2h"\nrole = "signal"\nper'
)


def logged_by(unit: str, more: str = "", guarded: str = PER_SESSION) -> str:
    """A file that counts visits, with a log unit."""
    return GOOD.replace('salt = "pepper"', f'salt = "pepper"\nlog_unit = "{unit}"\n{more}').replace(
        "[join]", f"{guarded}[join]"
    )


def test_what_is_counted_says_per_what(tmp_path: Path) -> None:
    for unit, guarded, per in (
        ("session", PER_SESSION, "session"),
        ("user", PER_SESSION, "session"),
        ("user", PER_DAY, "user-day"),
        ("session", SIGNAL, "session"),
        ("request", "", "request"),
    ):
        experiment = load_experiment(written(tmp_path, logged_by(unit, guarded=guarded)))
        assert {each.name: each.per for each in experiment.counted}.get("visits", "request") == per
        assert {each.per for each in experiment.optimised} == {"request"}
        assert experiment.exploration.sampled_by == experiment.experiment.sampled_by == unit


def test_a_bridge_maps_the_user_or_forwards_everything(tmp_path: Path) -> None:
    section = BRIDGED_SOURCE.format(topic="shop")
    mapped = section.replace("sampled = false", "").replace("event_time =", 'user_id = "who"\nevent_time =')
    for unit, good, user in (
        ("user", section, None),
        ("user", mapped, "who"),
        ("session", section.replace("sampled = false", ""), None),
    ):
        [source] = load_experiment(written(tmp_path, logged_by(unit, guarded="") + good)).bridge
        assert source.fields.user_id == user


def test_sessions_that_explore_together_are_logged_together(tmp_path: Path) -> None:
    unset = logged_by("x").replace('log_unit = "x"', 'exploration_unit = "session"')
    spelt = logged_by("session", 'exploration_unit = "session"')
    one, other = (load_experiment(written(tmp_path, text)) for text in (unset, spelt))
    assert one.exploration == other.exploration
    assert one.exploration.log_unit is None
    apart = load_experiment(written(tmp_path, logged_by("request", 'exploration_unit = "session"', "")))
    assert apart.exploration.log_unit == "request"


def test_a_log_unit_that_is_the_unit_changes_no_digest(tmp_path: Path) -> None:
    plain, spelt = (load_experiment(written(tmp_path, text)) for text in (GOOD, logged_by("request", guarded="")))
    assert plain.exploration.digest == spelt.exploration.digest


def test_a_group_counts_as_one_axis(tmp_path: Path) -> None:
    assert load_experiment(written(tmp_path, GROUPED)).action_space.arms == 8
    fine = GROUPED.replace("steps = 7", "steps = 1000")
    assert load_experiment(written(tmp_path, fine)).action_space.arms == 1001


BROKEN = {
    "unknown field": (GOOD.replace("salt =", "sault = 1\nsalt ="), "experiment.sault"),
    "missing salt": (GOOD.replace('salt = "pepper"', ""), "experiment.salt"),
    "rate above one": (GOOD.replace('salt = "pepper"', 'salt = "p"\nexploration_rate = 1.5'), "exploration_rate = 1.5"),
    "low above high": (GOOD.replace("low = 10", "low = 300"), "low 300 must be below high 200"),
    "bad duration": (GOOD.replace('"30m"', '"half an hour"'), "objectives[repin].attribution = 'half an hour'"),
    "no objectives": (GOOD.split("[[objectives]]")[0], "objectives"),
    "same name twice": (GOOD.replace('name = "p2p"\nkinds', 'name = "repin"\nkinds'), "unique"),
    "alpha of nothing": (GOOD.replace('alpha_objective = "p2p"', 'alpha_objective = "click"'), "'click'"),
    "nothing to optimise": (
        GOOD.replace('attribution = "30m"', 'attribution = "30m"\nrole = "signal"').replace(
            'attribution = "1h"', 'attribution = "1h"\nrole = "guardrail"'
        ),
        "no [[objectives]] has the role optimise",
    ),
    "alpha of a signal": (GOOD.replace('attribution = "1h"', 'attribution = "1h"\nrole = "signal"'), "'p2p'"),
    "a guardrail named like an objective": (
        GOOD + '[[guardrails]]\nname = "repin"\nkinds = ["visit"]\n',
        "share the names ['repin']: rename the guardrails",
    ),
    "sessions of a log by request": (
        logged_by("request"),
        "guardrails[visits] has per = 'session', but POLICY and FALLBACK are logged by request: set"
        " experiment.log_unit = 'session' or 'user'",
    ),
    "sessions without a log unit": (GOOD.replace("[join]", f"{PER_SESSION}[join]"), "logged by request: set"),
    "signal of a log by request": (logged_by("request", guarded=SIGNAL), "objectives[visits] has per = 'session'"),
    "user-days of a log by session": (
        logged_by("session", guarded=PER_DAY),
        "guardrails[visits] has per = 'user-day', but POLICY and FALLBACK are logged by session: set"
        " experiment.log_unit = 'user'",
    ),
    "sessions that explore, logged by request": (
        logged_by("request", 'exploration_unit = "session"'),
        "logged by request",
    ),
    "learnt per session": (
        logged_by("user", guarded="").replace('kinds = ["repin"]', 'kinds = ["repin"]\nper = "session"'),
        "objectives[repin]: per = 'session' is for signals and guardrails",
    ),
    "per nothing": (logged_by("user", guarded=PER_DAY.replace("user-day", "day")), "guardrails[visits].per = 'day'"),
    "a bridge that does not know the user": (
        logged_by("user", guarded="") + BRIDGED_SOURCE.format(topic="shop").replace("sampled = false", ""),
        "bridge.fields.user_id of 'shop' is missing, which experiment.log_unit = 'user' needs",
    ),
    "unknown log unit": (logged_by("visit", guarded=""), "experiment.log_unit = 'visit'"),
    "unknown role": (GOOD.replace('attribution = "1h"', 'attribution = "1h"\nrole = "watch"'), "role = 'watch'"),
    "alpha missing": (GOOD.replace('alpha_objective = "p2p"', ""), "alpha_objective is missing"),
    "two spaces": (
        GOOD + '[catalogue]\nproduction="a"\nfeatures=[]\narms=[{name="a",features=[]},{name="b",features=[]}]',
        "exactly one",
    ),
    "endless window": (GOOD.replace('"30m"', f'"{"9" * 400}d"'), "objectives[repin].attribution"),
    "rate of true": (GOOD.replace('salt = "pepper"', 'salt = "p"\nexploration_rate = true'), "a number, not true"),
    "infinite drift": (GOOD + "[gate]\nmax_drift = inf", "gate.max_drift = inf"),
    "no training": (GOOD + '[learner]\ntrain_window = "0s"', "learner.train_window = 0: Input should be greater"),
    "widths below one": (GOOD + "[learner]\nhidden_dims = [64, 0, 32]", "learner.hidden_dims[1] = 0"),
    "seed below zero": (GOOD + "[learner]\nseed = -1", "learner.seed = -1"),
    "kind without a name": (GOOD.replace('kinds = ["p2p"]', 'kinds = [""]'), "objectives[p2p].kinds[0]"),
    "context twice": (GOOD + '[features]\ncontext = [{name = "a"}, {name = "a", kind = "number"}]', "unique"),
    "grid too fine": (GOOD.replace("steps = 7", "steps = 1000"), "1000000 arms"),
    "duration without a unit": (GOOD.replace('"30m"', "30"), "objectives[repin].attribution = 30: 30 has no unit"),
    "weights without end": (GOOD.replace("low = 10", "low = -1e308").replace("high = 200", "high = 1e308"), "-1e+308"),
    "weights of one name": (
        GOOD.replace("low = 10", "low = 1000000").replace("high = 200", "high = 1000003"),
        "7 of the 7 values of the weight 'repin' share the name 'repin=1e+06'",
    ),
    "production out of reach": (GOOD.replace("91.6", "3e38").replace("high = 200", "high = 10.1"), "too far from"),
    "feature without end": (
        GOOD[: GOOD.index("[[weights]]")]
        + '[catalogue]\nproduction="a"\nfeatures=["x"]\narms=[{name="a",features=[1]},{name="b",features=[1e39]}]\n'
        + GOOD[GOOD.index("[[objectives]]") :],
        "catalogue.arms[b].features[0] = 1e+39",
    ),
    "memory of nothing": (GOOD + "[serving]\nremember_previous = true", "needs features.previous_length"),
    "endless memory": (GOOD + "[features]\nprevious_length = 101", "features.previous_length = 101"),
    "steps of some": (GOOD.replace("steps = 7", "", 1), "the weights ['repin'] have no steps, but others do"),
    "production outside a box": (
        BOX.replace("91.6", "300"),
        "weights[repin]: production 300 must be between low 10 and",
    ),
    "group in a box": (BOX.replace("high = 30", 'high = 30\ngroup = "g"'), "weights[p2p]: group is for a grid"),
    "sd in a grid": (GOOD.replace("low = 1\n", "low = 1\nsd = 2\n"), "weights[p2p]: sd is for a box"),
    "sd too small": (NORMAL.replace("sd = 30", "sd = 1e-4"), "weights[repin]: sd 0.0001 must be between 0.00019 and"),
    "sd too large": (NORMAL.replace("sd = 30", "sd = 2e5"), "weights[repin]: sd 200000 must be between 0.00019 and"),
    "sd of zero": (NORMAL.replace("sd = 30", "sd = 0"), "weights[repin].sd = 0: Input should be greater"),
    "sd of true": (NORMAL.replace("sd = 30", "sd = true"), "weights[repin].sd = True: write a number, not true"),
    "no end of sd": (NORMAL.replace("sd = 30", "sd = inf"), "weights[repin].sd = inf"),
    "box too narrow": (
        BOX.replace("91.6", "1e6").replace("low = 10", "low = 1e6").replace("high = 200", "high = 1000000.5"),
        "weights[repin]: low 1000000.0 and high 1000000.5 are too close for a box",
    ),
    "sd without normal": (
        NORMAL.replace('exploration_kind = "normal"\n', ""),
        "the weights ['repin', 'p2p'] have an sd",
    ),
    "normal without sd": (NORMAL.replace("sd = 30\n", ""), "the weights ['repin'] have no sd, which"),
    "normal on a grid": (
        GOOD.replace("[[weights]]", 'exploration_kind = "normal"\n[[weights]]', 1),
        "experiment.exploration_kind = 'normal' is for a box",
    ),
    "unknown kind": (NORMAL.replace('"normal"', '"cauchy"'), "experiment.exploration_kind = 'cauchy'"),
    "unknown unit": (
        NORMAL.replace('"normal"', '"normal"\nexploration_unit = "user"'),
        "experiment.exploration_unit =",
    ),
    "group of different steps": (
        GROUPED.replace("steps = 7", "steps = 6", 1),
        "the group 'saves' moves together, but 'repin' has 6 steps and 'p2p' has 7",
    ),
    "groups too fine": (
        GROUPED.replace("steps = 7", "steps = 400").replace(
            "[[objectives]]",
            "[[weights]]\nname = 'hide'\nproduction = 0\nlow = 0\nhigh = 1\nsteps = 400\n[[objectives]]",
            1,
        ),
        "160000 arms",
    ),
    "group without a name": (GROUPED.replace('"saves"', '""'), "weights[repin].group = ''"),
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
    with pytest.raises(BrokenFields) as caught:
        load_experiment(file)
    fields = ["weights[repin].steps", "weights[p2p].steps", "objectives[repin].attribution"]
    faults = caught.value.faults
    assert [fault.what.split(": ")[1].split(" = ")[0] for fault in faults] == fields
    assert all(f"{field} = " in caught.value.what and field in caught.value.fix for field in fields)
    assert all("docs/reference/experiment.md" in fault.fix for fault in faults)


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
    "cell missing": (b"name,price,new\na,1.5\nb,2,1\n", "catalogue.arms[a].features[1] = None"),
    "cell too many": (b"name,price,new\na,1.5,0,9\nb,2,1\n", "arm 'a' has more cells"),
    "not finite": (b"name,price,new\na,inf,0\nb,2,1\n", "catalogue.arms[a].features[0] = 'inf'"),
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
    "weights to remember": (CATALOGUE + "[features]\nprevious_length = 2", "features.previous_length is for weights"),
    "normal": (
        CATALOGUE.replace('"s"', '"s"\nexploration_kind = "normal"'),
        "'normal' is for a box: declare [[weights]]",
    ),
    "no such file": (CATALOGUE.replace("arms.csv", "absent.csv"), "'absent.csv': cannot be read"),
}


@pytest.mark.parametrize("fault", BROKEN_CATALOGUES)
def test_a_broken_catalogue_is_explained(tmp_path: Path, fault: str) -> None:
    (tmp_path / "arms.csv").write_text("name,price,new\na,1.5,0\nb,2,1\n")
    text, named = BROKEN_CATALOGUES[fault]
    with pytest.raises(ExperimentError) as caught:
        load_experiment(written(tmp_path, text))
    assert named in caught.value.what
