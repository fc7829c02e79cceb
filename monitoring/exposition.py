"""A process's `/metrics` page."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, start_http_server

from event_schemas.errors import SettingError


def serve_metrics(port: int, registry: CollectorRegistry, host: str = "127.0.0.1") -> Callable[[], None]:
    """Serve the registry over HTTP on `host:port`; returns what stops it. Raises SettingError for a taken port."""
    try:
        server, thread = start_http_server(port, addr=host, registry=registry)
    except OSError as fault:
        raise SettingError(
            f"metrics port {host}:{port} cannot be opened: {fault}", mend="choose a free port"
        ) from fault

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop
