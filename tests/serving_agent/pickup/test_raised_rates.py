"""Notices of raised log rates."""

from __future__ import annotations

import time
from collections import Counter

from event_schemas.records import EXPLORATION
from producers.delivery.memory_log import MemoryLog
from producers.loggers import RAISED_EVERY_MS, DecisionLogger, ExplorationPlan
from serving_agent.decide.decision_request import DecisionRequest
from serving_agent.pickup.raised_rates import RaisedRates
from tests.serving_samples import NOW, codec, logged, serving_experiment

TOPIC = "trimtab.explorations"


def test_a_raised_rate_is_told_while_it_may_hold() -> None:
    settings = serving_experiment(experiment={"log_rate": 0.1}).exploration
    log, now = MemoryLog(), [NOW]
    logger = DecisionLogger(codec(), log, "trimtab.events", clock=lambda: now[0])
    logger.tell_exploration(ExplorationPlan(TOPIC, settings))
    rates, seen = RaisedRates(logger, TOPIC, settings), Counter[str]()

    def told() -> list[str]:
        """What was written since the last time. The logger writes notices before an event that comes later."""
        nonlocal seen
        for _ in range(3):
            logger.log_request(DecisionRequest().as_record("r", now[0]))
            logger.flush()
            time.sleep(0.11)
        found = Counter(each["digest"] for each in logged(log, EXPLORATION, TOPIC))
        news, seen = found - seen, found
        return sorted(news.elements())

    raised = sorted(settings.with_log_rate(rate).digest for rate in (0.5, 1.0))
    rates.tell({0.05, 0.1})
    assert told() == [settings.digest], "neither is above the file's own"
    rates.tell({0.5, 1.0})
    assert told() == raised
    rates.tell({0.5, 1.0})
    assert told() == [], "nothing new"
    now[0] += RAISED_EVERY_MS
    assert told() == raised, "again, as it still holds"
    rates.tell({0.5})
    now[0] += RAISED_EVERY_MS
    assert told() == [settings.with_log_rate(0.5).digest]
    rates.tell(set())
    now[0] += RAISED_EVERY_MS
    assert told() == []
    logger.close()
