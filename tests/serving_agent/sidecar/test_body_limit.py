"""A body is passed on whole or refused, never read in part and never kept beyond the limit."""

from __future__ import annotations

import asyncio

import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from serving_agent.sidecar.body_limit import BodyLimit


class Exchange:
    """One request with a body in pieces, how much of it was read, and the answer."""

    def __init__(self, *pieces: bytes, kind: str = "http") -> None:
        self.kind = kind
        self.left = [self._piece(piece, index + 1 < len(pieces)) for index, piece in enumerate(pieces)]
        self.bodies: list[bytes] = []
        self.status: int | None = None

    @staticmethod
    def _piece(body: bytes, more: bool) -> Message:
        return {"type": "http.request", "body": body, "more_body": more}

    async def receive(self) -> Message:
        return self.left.pop(0) if self.left else {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.status = message.get("status", self.status)

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        while (message := await receive())["type"] == "http.request":
            self.bodies.append(message["body"])
        await PlainTextResponse("fine")(scope, receive, send)

    def run(self, most: int) -> None:
        limit = BodyLimit(self.app, PlainTextResponse("too large", status_code=413), most)
        asyncio.run(limit({"type": self.kind, "method": "POST", "headers": []}, self.receive, self.send))


@pytest.mark.parametrize(("pieces", "whole"), [((b"ab", b"cd"), b"abcd"), ((b"",), b""), ((b"abcd",), b"abcd")])
def test_a_body_within_the_limit_arrives_in_one_piece(pieces: tuple[bytes, ...], whole: bytes) -> None:
    exchange = Exchange(*pieces)
    exchange.run(most=4)
    assert (exchange.bodies, exchange.status) == ([whole], 200)


def test_a_larger_one_is_refused_as_soon_as_it_is_seen() -> None:
    exchange = Exchange(b"ab", b"cd", b"e", b"never read")
    exchange.run(most=4)
    assert (exchange.bodies, exchange.status, len(exchange.left)) == ([], 413, 1)


def test_a_caller_who_hangs_up_is_handed_on() -> None:
    exchange = Exchange()
    exchange.run(most=4)
    assert exchange.bodies == []


def test_other_kinds_of_connections_pass() -> None:
    exchange = Exchange(b"abcdef", kind="websocket")
    exchange.run(most=4)
    assert exchange.bodies == [b"abcdef"]
