"""An HTTP server in front of another that answers some requests itself, with a status of refusal or a page."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Refusal = Callable[[str, str], int | tuple[int, bytes] | None]
"""Method and path of a request → the status that it is refused with, or status and content; None to pass it on."""


@contextmanager
def refusing_front(refusal: Refusal, target: str = "127.0.0.1:1") -> Iterator[str]:
    """The `host:port` of the front, as long as the context lasts; what it does not refuse is answered by the target."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["Content-Length"])))

        do_PUT = do_POST

        def _answer(self, body: bytes | None) -> None:
            answer = refusal(self.command, self.path)
            if answer is None:
                answer = _passed_on(f"http://{target}{self.path}", self.command, body)
            if isinstance(answer, tuple):
                status, content = answer
            else:
                status = answer
                content = json.dumps({"error_code": status * 100 + 1, "message": "refused"}).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: object) -> None:
            """Keep the test output quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _passed_on(url: str, method: str, body: bytes | None) -> tuple[int, bytes]:
    headers = {"Content-Type": "application/vnd.schemaregistry.v1+json"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method)) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read()
