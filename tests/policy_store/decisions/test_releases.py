"""What became of releases, in the audit."""

from __future__ import annotations

from dataclasses import replace

from policy_store.decisions.releases import RELEASE_ACTION, Release, keep_release, kept_releases
from policy_store.records.audit import verify_chain
from tests.policy_store.store_samples import StoreBench

RELEASE = Release(
    version="v1",
    experiment="canary-v1",
    arm="canary",
    ended="withdrawn",
    reason="visits is harmed",
    users=1200,
    offline={"repin": {"lift": 0.1, "interval": [0.05, 0.15], "level": 0.97}},
    online={"repin": {"lift": 0.02, "interval": None, "one_look": [-0.01, 0.05]}},
)


def test_a_release_is_kept_with_both_lifts_in_the_chain(bench: StoreBench) -> None:
    assert kept_releases(bench.store) == []
    keep_release(bench.store, RELEASE, "learner")
    bench.store.append_audit("someone", RELEASE_ACTION, {})
    bench.store.append_audit("someone", "another action", {"version": "v2"})
    first, second = kept_releases(bench.store)
    assert first == {"at": first["at"], "by": "learner"} | RELEASE.as_dict()
    assert second == {"at": second["at"], "by": "someone"}
    verify_chain(bench.store.audit_entries())


def test_a_conclusion_is_kept_once_and_every_end_of_a_canary(bench: StoreBench) -> None:
    concluded = replace(RELEASE, experiment="sweep", arm="a1", ended="concluded")
    for release in (concluded, replace(concluded, users=1300), replace(concluded, arm="a2"), RELEASE, RELEASE):
        keep_release(bench.store, release, "ada")
    kept = [(each["experiment"], each["arm"], each["users"]) for each in kept_releases(bench.store)]
    assert kept == [("sweep", "a1", 1200), ("sweep", "a2", 1200), *[("canary-v1", "canary", 1200)] * 2]
