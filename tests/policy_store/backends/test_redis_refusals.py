"""A Redis that refuses writes says why; if it refuses a kill, the error says what to do instead."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest

from policy_store.backends.redis_refusals import REFUSALS, refusal_in
from policy_store.backends.redis_store import RedisStore
from policy_store.decisions.kill_decisions import kill, kill_state, resume
from policy_store.records.preference_record import PreferenceTarget
from policy_store.records.store_errors import StoreRefused
from tests.policy_store.redis_states import SickRedis
from tests.policy_store.store_samples import fresh_experiment, people, rule, set_preference

STATES: dict[str, tuple[Callable[[SickRedis], AbstractContextManager[None]], str]] = {
    "full": (SickRedis.full, "it has reached its memory limit"),
    "replica": (SickRedis.replica, "it is a read-only replica"),
    "lost replica": (SickRedis.lost_replica, "it is a read-only replica"),
    "alone": (SickRedis.alone, "it has fewer replicas than its min-replicas-to-write"),
    "unsaved": (SickRedis.unsaved, "it cannot save to its disk and therefore refuses writes"),
}
WRITTEN_TO_A_FULL_ONE = ("kill", "resume")


@pytest.fixture(scope="module")
def sick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SickRedis]:
    server = SickRedis(tmp_path_factory.mktemp("sick-redis"))
    yield server
    server.stop()


def test_every_state_is_tried_on_a_real_redis() -> None:
    assert {each.cause for each in REFUSALS} == {cause for _, cause in STATES.values()}
    assert refusal_in("WRONGTYPE Operation against a key") is None


@pytest.mark.parametrize("state", STATES)
def test_a_refused_write_names_the_state_of_redis_and_its_fix(sick: SickRedis, state: str) -> None:
    enter, cause = STATES[state]
    store = RedisStore(sick.url, fresh_experiment())
    lifted = kill(store, people()).signed_by(people().key).hash
    [fix] = [each.fix for each in REFUSALS if each.cause == cause]

    def writes() -> dict[str, Callable[[], object]]:
        return {
            "script": lambda: set_preference(store, PreferenceTarget.of(alpha=0.5), people()),
            "command": lambda: store.heartbeat("n1", {}, 60),
            "resume": lambda: resume(store, [lifted], people()),
            "kill": lambda: kill(store, people()),
        }

    with enter(sick):
        for name, write in writes().items():
            if state == "full" and name in WRITTEN_TO_A_FULL_ONE:
                write()
                continue
            with pytest.raises(StoreRefused, match=cause) as caught:
                write()
            assert fix in caught.value.fix
            assert ("kill file" in caught.value.fix and "--killed" in caught.value.fix) is (name == "kill")
    for write in writes().values():
        write()
    assert kill_state(store, rule(store.experiment)).killed is True
    store.close()
