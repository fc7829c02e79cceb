"""Ids from a Schema Registry: a tiny registry over real HTTP, since none is to be had as a native package."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from event_schemas.codec import Codec
from event_schemas.errors import ComponentUnreachable
from event_schemas.schema_registry import load_registry
from tests.record_samples import ENGAGEMENT


class RegistryHandler(BaseHTTPRequestHandler):
    """Answers `POST /subjects/<subject>/versions` with ids from 100 on, the same subject and schema the same id."""

    ids: dict[tuple[str, str], int]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        key = (self.path.split("?")[0], body["schema"])
        answer = json.dumps({"id": self.ids.setdefault(key, 100 + len(self.ids))}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args: object) -> None:
        """Keep the test output quiet."""


@pytest.fixture
def registry_url() -> Iterator[str]:
    handler = type("Handler", (RegistryHandler,), {"ids": {}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_without_a_url_the_bundled_ids_hold() -> None:
    assert load_registry(None).schema_id("Request") == 1


def test_with_a_url_the_registry_s_ids_hold(registry_url: str) -> None:
    codec = Codec(load_registry(registry_url))
    framed = codec.encode("Engagement", ENGAGEMENT)
    assert framed[4] >= 100
    assert codec.decode(framed).record == ENGAGEMENT
    assert Codec(load_registry(registry_url)).encode("Engagement", ENGAGEMENT) == framed


def test_a_silent_registry_is_an_error_that_names_it() -> None:
    with pytest.raises(ComponentUnreachable, match=r"127\.0\.0\.1:1"):
        load_registry("http://127.0.0.1:1")
