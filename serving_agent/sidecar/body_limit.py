"""Refuses request bodies beyond a limit with 413, so that none can fill the memory of a serving node."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from event_schemas.units import MEBIBYTE

LARGEST_BODY = 4 * MEBIBYTE
"""In bytes: enough for a thousand history items of 128 numbers; Kafka refuses much smaller Requests."""


class BodyLimit:
    """ASGI middleware: reads the whole body, at most `most` bytes, before it passes it on as one message.

    `refusal` answers requests with a larger body.
    """

    def __init__(self, app: ASGIApp, refusal: ASGIApp, most: int = LARGEST_BODY) -> None:
        self._app = app
        self._refusal = refusal
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one connection."""
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
        """The body as one message, or the message that ended it early; None when it is too large."""
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
