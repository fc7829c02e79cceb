"""A small Confluent Schema Registry over real HTTP, because none is available as a native package."""

from __future__ import annotations

import json
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass
class RegisteredSchemas:
    """The registry's content: registered bodies by id, and the ids of each subject's versions."""

    by_id: dict[int, dict[str, Any]] = field(default_factory=dict)
    versions: dict[str, list[int]] = field(default_factory=dict)
    first_id: int = 100
    refuses_with: int | None = None
    """If set, the HTTP status with which every request is answered."""

    def register(self, subject: str, schema: Any, **body: Any) -> int:
        """The id of a schema under a subject; the same schema keeps its id, another one is the next version."""
        text = schema if isinstance(schema, str) else json.dumps(schema)
        entry = {"schema": text, **body}
        schema_id = next(
            (known for known, held in self.by_id.items() if held == entry), self.first_id + len(self.by_id)
        )
        self.by_id[schema_id] = entry
        versions = self.versions.setdefault(subject, [])
        if schema_id not in versions:
            versions.append(schema_id)
        return schema_id

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        """Status and body of an answer to the requests that clients make."""
        if self.refuses_with is not None:
            return self.refuses_with, {"error_code": self.refuses_with * 100 + 1, "message": "refused"}
        if path.partition("?")[0] == "/subjects":
            return 200, list(self.versions)
        if found := re.fullmatch(r"/schemas/ids/(\d+)", path):
            entry = self.by_id.get(int(found[1]))
            return (404, {"error_code": 40403, "message": "Schema not found"}) if entry is None else (200, entry)
        if found := re.fullmatch(r"/subjects/([^/]+)/versions", path):
            if method == "POST":
                more = {name: value for name, value in body.items() if name != "schema" and value}
                more = {} if more == {"schemaType": "AVRO"} else more
                return 200, {"id": self.register(found[1], body["schema"], **more)}
            return 200, list(range(1, len(self.versions.get(found[1], ())) + 1))
        if found := re.fullmatch(r"/subjects/([^/]+)/versions/(\d+)", path):
            schema_id = self.versions[found[1]][int(found[2]) - 1]
            said = {"subject": found[1], "version": int(found[2]), "id": schema_id}
            return 200, {**said, **self.by_id[schema_id]}
        return 404, {"error_code": 404, "message": f"no {method} {path}"}


@contextmanager
def schema_registry(held: RegisteredSchemas, certificate: Path | None = None) -> Iterator[str]:
    """The URL of a registry that holds these schemas, as long as the context lasts.

    With a `certificate` (PEM, with its key) it speaks TLS.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({})

        def do_POST(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _answer(self, body: dict[str, Any]) -> None:
            status, content = held.answer(self.command, self.path.split("?")[0], body)
            answer = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args: object) -> None:
            """Keep the test output quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if certificate is not None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"{'http' if certificate is None else 'https'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
