"""The HTTP port of a process: its metrics and its health checks."""

from __future__ import annotations

import json
import socket
import socketserver
import threading
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from types import MappingProxyType
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from event_schemas.errors import SettingError

Check = Callable[[], Sequence[str]]
"""Returns what is wrong, one line per problem; empty if nothing is. Called on the server's threads."""

SILENCE_SECONDS = 10.0
"""A client that sends nothing for this many seconds is disconnected."""


def serve_metrics(
    port: int,
    registry: CollectorRegistry,
    host: str = "127.0.0.1",
    checks: Mapping[str, Check] = MappingProxyType({}),
) -> Callable[[], None]:
    """Serve the registry at `/metrics` and each check at its path, such as `/healthz`; returns a function to stop it.

    A check answers 200 `{"status": "ok"}`, or 503 `{"status": "unavailable", "reasons": […]}`. Each request is answered
    on its own thread. Raises SettingError if the port cannot be opened.
    """
    pages = {**{path: _checked(check) for path, check in checks.items()}, "/metrics": None, "/": None}

    class Handler(_Handler):
        timeout = SILENCE_SECONDS

        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            if path not in pages:
                self.answer(HTTPStatus.NOT_FOUND, "text/plain", f"known: {', '.join(sorted(pages))}\n".encode())
            elif (page := pages[path]) is not None:
                status, text = page()
                self.answer(status, "application/json", text)
            else:
                encode, content_type = choose_encoder(self.headers.get("Accept", ""))
                self.answer(HTTPStatus.OK, content_type, encode(registry))

    try:
        server = _Server((host, port), Handler)
    except (OSError, OverflowError) as fault:
        raise SettingError(f"metrics port {host}:{port} cannot be opened: {fault}", fix="choose a free port") from fault
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop


class _Handler(BaseHTTPRequestHandler):
    def answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Logs nothing: probes come every few seconds, and a line for each would hide the other log lines."""


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self.address_family = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)[0][0]
        super().__init__(address, handler)


def _checked(check: Check) -> Callable[[], tuple[HTTPStatus, bytes]]:
    def page() -> tuple[HTTPStatus, bytes]:
        reasons = list(check())
        if not reasons:
            return HTTPStatus.OK, b'{"status": "ok"}\n'
        content = {"status": "unavailable", "reasons": reasons}
        return HTTPStatus.SERVICE_UNAVAILABLE, json.dumps(content).encode() + b"\n"

    return page
