"""No request body may fill the memory of a serving node: beyond a limit it is refused with 413."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from event_schemas.units import MEBIBYTE

LARGEST_BODY = 4 * MEBIBYTE
"""Bytes: a thousand history items of 128 numbers fit, and Kafka would refuse the Request long before."""


class BodyLimit:
    """ASGI middleware: reads the body first, at most `most` bytes of it, and hands it on in one piece.

    `refusal` answers for a body that is larger.
    """

    def __init__(self, app: ASGIApp, refusal: ASGIApp, most: int = LARGEST_BODY) -> None:
        self._app = app
        self._refusal = refusal
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        messages = await self._read(receive)
        if messages is None:
            await self._refusal(scope, receive, send)
            return

        async def replay() -> Message:
            return messages.pop(0) if messages else await receive()

        await self._app(scope, replay, send)

    async def _read(self, receive: Receive) -> list[Message] | None:
        """The body as one message, or what ended it early; None when it is too large."""
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return [message]
            body += message.get("body", b"")
            if len(body) > self._most:
                return None
            if not message.get("more_body", False):
                return [{"type": "http.request", "body": bytes(body), "more_body": False}]
