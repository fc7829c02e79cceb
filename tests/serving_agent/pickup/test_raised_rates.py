"""Notices of raised log rates."""

from __future__ import annotations

from dataclasses import replace

from event_schemas.records import EXPLORATION
from producers.delivery.memory_log import MemoryLog
from producers.loggers import DecisionLogger, ExplorationPlan
from serving_agent.pickup.raised_rates import RaisedRates
from tests.serving_samples import NOW, codec, logged, serving_experiment

TOPIC = "trimtab.explorations"


def test_a_raised_rate_is_told_while_it_may_hold() -> None:
    settings = serving_experiment(experiment={"log_rate": 0.1}).exploration
    log, now = MemoryLog(), [NOW]
    logger = DecisionLogger(codec(), log, "trimtab.events", clock=lambda: now[0])
    logger.tell_exploration(ExplorationPlan(TOPIC, settings))
    rates = RaisedRates(logger, TOPIC, settings)

    def told() -> list[str]:
        logger.flush()
        return [each["digest"] for each in logged(log, EXPLORATION, TOPIC)]

    rates.tell({0.05, 0.1})
    assert set(told()) <= {settings.digest}, "neither is above the file's own"
    rates.tell({0.5, 1.0})
    raised = {replace(settings, log_rate=rate).digest for rate in (0.5, 1.0)}
    assert set(told()) >= raised
    before = len(told())
    rates.tell({0.5, 1.0})
    assert len(told()) == before, "once"
    rates.tell(set())
    logger.close()
