"""Decisions from `trimtab serve` over HTTP, on one keep-alive connection."""

from __future__ import annotations

import http.client
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from prometheus_client.parser import text_string_to_metric_families

from event_schemas.errors import ComponentUnreachable, TrimtabError
from event_schemas.records import PROPENSITY
from serving_agent.decide import DecisionRequest, HeadSummaries
from simulator.decision_port import IsLogged

TIMEOUT_S = 10.0
SETTLE_SECONDS = 0.3
SETTLE_ATTEMPTS = 100
LOGGED_SECONDS = 0.01
LOGGED_ATTEMPTS = 3_000


class SidecarRefused(TrimtabError):
    """The sidecar answered with an error."""


@dataclass(frozen=True)
class SidecarDecision:
    """A sidecar's answer to `POST /v1/decisions`."""

    port: SidecarPort
    request_id: str
    weights: Mapping[str, float]
    slice: str
    arm: int
    policy_version: str
    fallback_reason: str | None
    user_id: str | None = None

    def applied(self, heads: HeadSummaries | None = None, served: Sequence[str] = (), ranker_version: str = "") -> bool:
        """Confirms the decision over HTTP; raises SidecarRefused or ComponentUnreachable."""
        body = {"heads": heads, "served": list(served), "ranker_version": ranker_version}
        self.port.post(f"/v1/decisions/{self.request_id}/applied", body)
        self.port.note_confirmed(self)
        return True


class SidecarPort:
    """One sidecar, to be used from one thread. `url` is its base, such as `http://127.0.0.1:8080`.

    `is_logged` says which decisions the sidecar logs; by default all of them.
    """

    def __init__(self, url: str, is_logged: IsLogged = lambda *_: True) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise SidecarRefused(f"{url!r} is not the address of a sidecar", fix="give http://host:port")
        self.url = url
        self._is_logged = is_logged
        self._logged = 0
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=TIMEOUT_S)

    def decide(self, request: DecisionRequest) -> SidecarDecision:
        """Requests weights; raises SidecarRefused or ComponentUnreachable."""
        answer = self.post("/v1/decisions", request_body(request))
        return SidecarDecision(
            port=self,
            request_id=answer["request_id"],
            weights=answer["weights"],
            slice=answer["slice"],
            arm=answer["arm"],
            policy_version=answer["policy_version"],
            fallback_reason=answer.get("fallback_reason"),
            user_id=request.user_id,
        )

    def events(self) -> Counter[tuple[str, str]]:
        """The events of its producers so far by (record, fate), from `/metrics`; raises the same errors as `post`."""
        text = self._exchange("GET", "/metrics", None).decode()
        counts: Counter[tuple[str, str]] = Counter()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == "trimtab_producer_events_total":
                    counts[sample.labels["record"], sample.labels["fate"]] += int(sample.value)
        return counts

    def note_confirmed(self, decision: SidecarDecision) -> None:
        """Counts a confirmed decision if the sidecar logs it."""
        self._logged += self._is_logged(decision.request_id, decision.slice, decision.user_id)

    def await_logged(self, earlier: int, sleep: Callable[[float], None] = time.sleep) -> None:
        """Waits until every decision confirmed through this port is in the log.

        `earlier` is the number of Propensity records acknowledged before this run. Raises SidecarRefused after 30 s.
        """
        for _ in range(LOGGED_ATTEMPTS):
            if self.events()[PROPENSITY, "acknowledged"] - earlier >= self._logged:
                return
            sleep(LOGGED_SECONDS)
        raise self._undelivered()

    def settled_events(self, sleep: Callable[[float], None] = time.sleep) -> Counter[tuple[str, str]]:
        """`events`, once they no longer change and none is in flight; raises SidecarRefused after 30 s."""
        before = self.events()
        for _ in range(SETTLE_ATTEMPTS):
            sleep(SETTLE_SECONDS)
            now = self.events()
            if now == before and _in_flight(now) == 0:
                return now
            before = now
        raise self._undelivered()

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The JSON answer to a POST ({} if it is empty); raises SidecarRefused or ComponentUnreachable."""
        text = self._exchange("POST", path, json.dumps(body))
        answer: dict[str, Any] = json.loads(text) if text else {}
        return answer

    def _undelivered(self) -> SidecarRefused:
        return SidecarRefused(f"sidecar {self.url} cannot deliver its events", fix="check its Kafka settings")

    def _exchange(self, method: str, path: str, body: str | None) -> bytes:
        try:
            self._connection.request(method, path, body, {"Content-Type": "application/json"})
            response = self._connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as fault:
            self._connection.close()
            raise ComponentUnreachable(
                f"sidecar {self.url} does not answer {path}: {fault!r}", fix="start it with `trimtab serve`"
            ) from fault
        if response.status >= 400:
            raise SidecarRefused(
                f"sidecar {self.url} answered {path} with {response.status}: {text[:300].decode(errors='replace')}",
                fix="check that it serves the same experiment file",
            )
        return text

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()


def _in_flight(counts: Mapping[tuple[str, str], int]) -> int:
    """The number of events handed in that are not yet acknowledged, spooled or dropped."""
    signs = {"handed_in": 1, "acknowledged": -1, "spooled": -1, "dropped": -1}
    return sum(signs.get(fate, 0) * count for (_, fate), count in counts.items())


def request_body(request: DecisionRequest) -> dict[str, Any]:
    """The JSON body of a decision request, without empty fields; an empty `previous` says that there was none."""
    body: dict[str, Any] = {
        "request_id": request.request_id,
        "user_id": request.user_id,
        "session_id": request.session_id,
        "cohort": request.cohort,
        "user_embedding": list(request.user_embedding),
        "context": dict(request.context),
        "history": list(request.history),
        "eligible": list(request.eligible),
        "event_time": request.event_time,
    }
    given = {name: value for name, value in body.items() if value not in (None, [], {})}
    return given if request.previous is None else given | {"previous": [dict(each) for each in request.previous]}
