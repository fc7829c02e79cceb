"""Both ways to a decision fit the simulator's port."""

from event_schemas.experiment import load_experiment
from event_schemas.slices import Slice, draw_sampling
from serving_agent.decide.decision import Decision
from serving_agent.decide.policy_agent import PolicyAgent
from simulator.decision_port import DecisionPort, PortDecision, logged_by
from simulator.sidecar_port import SidecarDecision, SidecarPort
from tests.simulator_samples import HOMEFEED


def accept_ports(agent: PolicyAgent, sidecar: SidecarPort) -> tuple[DecisionPort, DecisionPort]:
    """Type-checked: an agent and a sidecar are decision ports."""
    return agent, sidecar


def accept_decisions(local: Decision, remote: SidecarDecision) -> tuple[PortDecision, PortDecision]:
    """Type-checked: their answers are decisions."""
    return local, remote


def test_both_answers_offer_what_the_port_names() -> None:
    wanted = {name for name in vars(PortDecision) if not name.startswith("_")}
    assert wanted == {"request_id", "weights", "slice", "applied"}
    assert wanted <= set(dir(Decision))
    assert wanted <= {*dir(SidecarDecision), *SidecarDecision.__dataclass_fields__}
    assert hasattr(PolicyAgent, "decide") and hasattr(SidecarPort, "decide")


def test_what_is_logged_follows_the_experiment_s_sampling() -> None:
    experiment = load_experiment(HOMEFEED)
    thin = experiment.model_copy(update={"experiment": experiment.experiment.model_copy(update={"log_rate": 0.5})})
    is_logged, salt = logged_by(thin), thin.experiment.salt
    ids = [f"r-{number}" for number in range(50)]
    drawn = [is_logged(each, "POLICY", None) for each in ids]
    assert drawn == [draw_sampling(salt, each, Slice.POLICY, 0.5).logged for each in ids]
    assert any(drawn) and not all(drawn)
    rates = thin.experiment.model_copy(update={"exploration_unit": "session"})
    by_session = logged_by(thin.model_copy(update={"experiment": rates}))
    assert [by_session(f"{each}~7", "POLICY", "u") for each in ids] == drawn
    rates = thin.experiment.model_copy(update={"log_unit": "user"})
    by_user = logged_by(thin.model_copy(update={"experiment": rates}))
    assert [by_user("r", "POLICY", each) for each in ids] == [by_user(each, "POLICY", "null") for each in ids] == drawn
    assert all(is_logged(each, "EXPLORE", None) for each in ids) and all(
        logged_by(experiment)(each, "POLICY", None) for each in ids
    )
