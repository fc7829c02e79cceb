"""The HTTP sidecar, for rankers in other languages: decisions, confirmations, engagements, health and metrics.

A decision never fails because Redis or Kafka is down; 4xx means that the caller's input is wrong.
"""

from collections.abc import Callable
from typing import Annotated

from fastapi import FastAPI, Header, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.exceptions import HTTPException

from event_schemas.event_bounds import LONGEST_ID
from event_schemas.field_faults import field_faults, told
from event_schemas.shown_text import cut
from event_schemas.user_ids import present
from producers.loggers import InvalidEngagement
from serving_agent.decide.decision_errors import InvalidDecision
from serving_agent.node import ServingNode
from serving_agent.sidecar.body_limit import LARGEST_BODY, BodyLimit
from serving_agent.sidecar.sidecar_bodies import (
    AppliedAnswer,
    AppliedBody,
    DecisionAnswer,
    DecisionBody,
    EngagementAnswer,
    EngagementBody,
    Problem,
)
from serving_agent.sidecar.unconfirmed_decisions import UnconfirmedDecisions

LONGEST_ERROR = 500
MOST_FAULTS = 5
"""Faults of a body that are told of."""
IdempotencyKey = Annotated[
    str | None, Header(description="Stands in for `engagement_id`: calls with the same key are one engagement.")
]
BAD_INPUT: dict[int | str, dict[str, object]] = {422: {"model": Problem}}
NOT_FOUND: dict[int | str, dict[str, object]] = {**BAD_INPUT, 404: {"model": Problem}}


def create_app(node: ServingNode, registry: CollectorRegistry, unconfirmed: UnconfirmedDecisions) -> FastAPI:
    """The application around a node; the caller starts and closes the node."""
    app = FastAPI(title="Trimtab sidecar", description=__doc__, docs_url=None, redoc_url=None)
    app.add_exception_handler(RequestValidationError, _answer_validation)
    app.add_exception_handler(InvalidDecision, _answer_invalid)
    app.add_exception_handler(InvalidEngagement, _answer_invalid)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_middleware(
        BodyLimit, refusal=_problem(413, f"the body is larger than {LARGEST_BODY} bytes", "send less history")
    )
    _add_decisions(app, node, unconfirmed)
    _add_engagements(app, node)
    _add_health(app, node, registry, lambda: {"held": unconfirmed.held, "forgotten": unconfirmed.forgotten})
    return app


def _add_decisions(app: FastAPI, node: ServingNode, unconfirmed: UnconfirmedDecisions) -> None:
    arm_names = node.config.experiment.action_space.arm_names

    @app.post("/v1/decisions", responses=BAD_INPUT)
    def decide(body: DecisionBody) -> DecisionAnswer:
        """Choose the weights for a request. A repeated request_id gets the same answer again."""
        request = body.as_request()
        if body.request_id is not None:
            decision = unconfirmed.once(body.request_id, lambda: node.decide(request))
        else:
            decision = node.decide(request)
            unconfirmed.remember(decision)
        return DecisionAnswer.of(decision, arm_names)

    @app.post("/v1/decisions/{request_id:path}/applied", response_model=AppliedAnswer, responses=NOT_FOUND)
    def applied(request_id: str, body: AppliedBody | None = None) -> AppliedAnswer | JSONResponse:
        """Confirm that the weights were used: the decision counts only then. Repeating the call is harmless."""
        decision = unconfirmed.find(request_id)
        if decision is None:
            return _problem(
                404,
                f"decision {request_id!r} is not known here",
                "confirm soon, at the sidecar that made the decision; it keeps a limited number of decisions",
            )
        told = AppliedBody() if body is None else body
        heads = {name: head.model_dump() for name, head in told.heads.items()}
        first = unconfirmed.take_confirmation(decision, heads, told.served, told.ranker_version)
        return AppliedAnswer(request_id=request_id, first=first)


def _add_engagements(app: FastAPI, node: ServingNode) -> None:
    @app.post("/v1/engagements", status_code=202, response_model=EngagementAnswer, responses=BAD_INPUT)
    def engage(body: EngagementBody, idempotency_key: IdempotencyKey = None) -> EngagementAnswer | JSONResponse:
        """Report an engagement of a user with what was served.

        To repeat a call safely, give it an `engagement_id`, an `Idempotency-Key` or an `event_time`: without them the
        time of the call makes each repetition another engagement.
        """
        chosen = body.engagement_id or present(idempotency_key)
        if chosen is not None and len(chosen) > LONGEST_ID:
            return _problem(
                422,
                f"Idempotency-Key has {len(chosen)} characters",
                f"send at most {LONGEST_ID}, or an engagement_id in the body",
            )
        engagement_id = node.engagements.log_sound(
            body.request_id,
            body.kind,
            event_time=node.config.clock() if body.event_time is None else body.event_time,
            item_id=body.item_id,
            value=body.value,
            engagement_id=chosen,
        )
        return EngagementAnswer(engagement_id=engagement_id)


def _add_health(
    app: FastAPI, node: ServingNode, registry: CollectorRegistry, memory: Callable[[], dict[str, int]]
) -> None:
    @app.get("/healthz")
    def healthz() -> dict[str, object]:
        """The process is alive; the body is the node's report."""
        return {"status": "ok", "unconfirmed": memory(), **node.report().as_dict()}

    @app.get("/readyz")
    def readyz(response: Response) -> dict[str, object]:
        """200 once the node has tried to read the policy store, even if the store did not answer.

        503 with reasons before that, and while Kafka refuses this node's events, but not while no broker answers.
        """
        reasons = node.unready()
        if not reasons:
            return {"ready": True}
        response.status_code = 503
        return {"ready": False, "reasons": reasons}

    @app.get("/metrics", include_in_schema=False)
    def metrics() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


def _answer_validation(_: Request, fault: Exception) -> JSONResponse:
    # The offending value is left out: it may be huge, private, or not JSON (NaN).
    assert isinstance(fault, RequestValidationError)
    errors = fault.errors()
    if errors[0]["type"] == "json_invalid":
        said, place = errors[0].get("ctx", {}).get("error", "it cannot be decoded"), errors[0]["loc"][-1]
        return _problem(422, f"body is not JSON: {said} at character {place}", "send one JSON object")
    faults = [each._replace(value=None) for each in field_faults(errors[:MOST_FAULTS])]
    first = f"{len(errors):,} faults, the first {MOST_FAULTS}: " if len(errors) > MOST_FAULTS else ""
    return _problem(422, first + told(faults), "see /openapi.json for the fields and their limits")


def _answer_invalid(_: Request, fault: Exception) -> JSONResponse:
    assert isinstance(fault, InvalidDecision | InvalidEngagement)
    return _problem(422, fault.what, fault.fix)


def _answer_http(_: Request, fault: Exception) -> JSONResponse:
    assert isinstance(fault, HTTPException)
    return _problem(fault.status_code, str(fault.detail), "see /openapi.json for the routes and their bodies")


def _problem(status: int, error: str, fix: str) -> JSONResponse:
    # The error may quote the caller's input, which can be very long or impossible to encode as UTF-8.
    shown = cut(error, LONGEST_ERROR).encode("utf-8", "replace").decode()
    return JSONResponse(Problem(error=shown, fix=fix).model_dump(), status_code=status)
