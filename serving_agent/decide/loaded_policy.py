"""A checkpoint that passed pick-up."""

from dataclasses import dataclass

from feature_contract import FeatureContract
from serving_agent.decide.policy_answers import SamplingNetwork
from serving_agent.decide.policy_networks import ValueNetwork


@dataclass(frozen=True, slots=True, eq=False)
class LoadedPolicy:
    """A checkpoint that passed pick-up, ready to score. `created_at` is in epoch ms.

    `contract` encodes requests as in the network's training; checkpoints with different contracts may serve at once.
    A network that answers with distributions is drawn from if it `samples`; else its most probable arm or its mean is
    served. `pinned` are the weights of the objectives that it was trained for, if it answers for no others.
    """

    version: str
    created_at: int
    network: ValueNetwork | SamplingNetwork
    contract: FeatureContract
    samples: bool = True
    pinned: tuple[float, ...] | None = None
