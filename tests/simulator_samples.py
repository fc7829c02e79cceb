"""What tests of the simulator share: its experiment file, and a sidecar that answers from a script."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any

HOMEFEED = Path(str(files("simulator") / "experiments" / "homefeed.toml"))
Answers = dict[str, tuple[int, str]]
Calls = list[tuple[str, str, Any]]


@contextmanager
def scripted_sidecar(answers: Answers) -> Iterator[tuple[str, Calls]]:
    """An HTTP server on loopback: `answers` maps a path to (status, body), read at each call; yields URL and calls."""
    calls: Calls = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            calls.append((self.command, self.path, json.loads(body) if body else None))
            status, text = answers.get(self.path, (404, "not scripted"))
            self.send_response(status)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = _answer

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", calls
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
