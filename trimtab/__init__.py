"""Wiring only: settings, command line, embedded runtime, and the public names users import.

Reads the environment (`TRIMTAB_*`) and the experiment file.
Writes nothing of its own.
Guarantees that importing it is cheap: a public name loads its package when it is first used; and that only its
own packages are loaded; otherwise ShadowedImport names the module that shadows one (`import_names`).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from trimtab.import_names import require_own_packages

if TYPE_CHECKING:
    from event_schemas.errors import TrimtabError as TrimtabError
    from policy_store.backends import RedisStore as RedisStore
    from policy_store.records import TrustedKeys as TrustedKeys
    from producers.delivery import DeliverySpool as DeliverySpool
    from producers.delivery import KafkaDelivery as KafkaDelivery
    from producers.loggers import DecisionLogger as DecisionLogger
    from producers.loggers import EngagementLogger as EngagementLogger
    from serving_agent.decide import Decision as Decision
    from serving_agent.decide import DecisionRequest as DecisionRequest
    from serving_agent.decide import InvalidConfirmation as InvalidConfirmation
    from serving_agent.decide import InvalidRequest as InvalidRequest
    from serving_agent.decide import PolicyAgent as PolicyAgent
    from serving_agent.decide import ServedWeights as ServedWeights
    from serving_agent.node import NodeConnections as NodeConnections
    from serving_agent.node import ServingNode as ServingNode
    from serving_agent.node import ServingNodeConfig as ServingNodeConfig
    from serving_agent.node import build_node as build_node
    from trimtab.node import Node as Node
    from trimtab.settings import Settings as Settings
    from trimtab.settings import load_settings as load_settings

PUBLIC = {
    "Decision": "serving_agent.decide",
    "DecisionLogger": "producers.loggers",
    "DecisionRequest": "serving_agent.decide",
    "DeliverySpool": "producers.delivery",
    "EngagementLogger": "producers.loggers",
    "InvalidConfirmation": "serving_agent.decide",
    "InvalidRequest": "serving_agent.decide",
    "KafkaDelivery": "producers.delivery",
    "Node": "trimtab.node",
    "NodeConnections": "serving_agent.node",
    "PolicyAgent": "serving_agent.decide",
    "RedisStore": "policy_store.backends",
    "ServedWeights": "serving_agent.decide",
    "ServingNode": "serving_agent.node",
    "ServingNodeConfig": "serving_agent.node",
    "Settings": "trimtab.settings",
    "TrimtabError": "event_schemas.errors",
    "TrustedKeys": "policy_store.records",
    "build_node": "serving_agent.node",
    "load_settings": "trimtab.settings",
}

__all__ = [
    "Decision",
    "DecisionLogger",
    "DecisionRequest",
    "DeliverySpool",
    "EngagementLogger",
    "InvalidConfirmation",
    "InvalidRequest",
    "KafkaDelivery",
    "Node",
    "NodeConnections",
    "PolicyAgent",
    "RedisStore",
    "ServedWeights",
    "ServingNode",
    "ServingNodeConfig",
    "Settings",
    "TrimtabError",
    "TrustedKeys",
    "build_node",
    "load_settings",
]


require_own_packages()


def __getattr__(name: str) -> object:
    if name not in PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    require_own_packages()  # the import path may have changed since this module was imported
    value = globals()[name] = getattr(import_module(PUBLIC[name]), name)
    return value
