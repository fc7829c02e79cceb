"""Wiring only: settings, command line, embedded runtime, and the public names users import.

Reads the environment (`TRIMTAB_*`) and the experiment file.
Writes nothing of its own.
Guarantees that importing it is cheap: a public name loads its package when it is first used; and that the packages that
are loaded then are its own, or ShadowedImport names what lies in their way (`import_names`).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from trimtab.import_names import require_own_packages

if TYPE_CHECKING:
    from event_schemas.errors import TrimtabError as TrimtabError
    from policy_store.backends.redis_store import RedisStore as RedisStore
    from policy_store.records.signing import TrustedKeys as TrustedKeys
    from producers.delivery.delivery_spool import DeliverySpool as DeliverySpool
    from producers.delivery.kafka_delivery import KafkaDelivery as KafkaDelivery
    from producers.loggers.decision_logger import DecisionLogger as DecisionLogger
    from producers.loggers.engagement_logger import EngagementLogger as EngagementLogger
    from serving_agent.decide.decision import Decision as Decision
    from serving_agent.decide.decision_errors import InvalidConfirmation as InvalidConfirmation
    from serving_agent.decide.decision_errors import InvalidRequest as InvalidRequest
    from serving_agent.decide.decision_request import DecisionRequest as DecisionRequest
    from serving_agent.decide.policy_agent import PolicyAgent as PolicyAgent
    from serving_agent.node import NodeConnections as NodeConnections
    from serving_agent.node import ServingNode as ServingNode
    from serving_agent.node import ServingNodeConfig as ServingNodeConfig
    from serving_agent.node import build_node as build_node
    from trimtab.node import Node as Node
    from trimtab.settings import Settings as Settings
    from trimtab.settings import load_settings as load_settings

PUBLIC = {
    "Decision": "serving_agent.decide.decision",
    "DecisionLogger": "producers.loggers.decision_logger",
    "DecisionRequest": "serving_agent.decide.decision_request",
    "DeliverySpool": "producers.delivery.delivery_spool",
    "EngagementLogger": "producers.loggers.engagement_logger",
    "InvalidConfirmation": "serving_agent.decide.decision_errors",
    "InvalidRequest": "serving_agent.decide.decision_errors",
    "KafkaDelivery": "producers.delivery.kafka_delivery",
    "Node": "trimtab.node",
    "NodeConnections": "serving_agent.node",
    "PolicyAgent": "serving_agent.decide.policy_agent",
    "RedisStore": "policy_store.backends.redis_store",
    "ServingNode": "serving_agent.node",
    "ServingNodeConfig": "serving_agent.node",
    "Settings": "trimtab.settings",
    "TrimtabError": "event_schemas.errors",
    "TrustedKeys": "policy_store.records.signing",
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
