"""Both ways to a decision fit the simulator's port."""

from serving_agent.decision import Decision
from serving_agent.policy_agent import PolicyAgent
from simulator.decision_port import DecisionPort, PortDecision
from simulator.sidecar_port import SidecarDecision, SidecarPort


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
