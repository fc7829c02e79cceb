"""`trimtab serve`: the HTTP sidecar."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from event_schemas.errors import SettingError
from trimtab.settings import load_settings

CLOSE_SECONDS = 3
"""How long a shutdown waits for requests in flight before it closes the node."""


def register(app: typer.Typer) -> None:
    """Add `serve` to the command line."""
    app.command("serve")(serve)


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 picks a free one.")] = 8080,
    node_id: Annotated[str, typer.Option(help="Name of this node; default: host name and port.")] = "",
    kill_file: Annotated[
        Path | None, typer.Option(help="Serve production weights while this file exists; default: <data dir>/kill.")
    ] = None,
    killed: Annotated[
        bool, typer.Option("--killed", help="Serve production weights until restarted; same as TRIMTAB_KILLED=1.")
    ] = False,
    max_unconfirmed: Annotated[int, typer.Option(min=1, help="Most unconfirmed decisions to remember.")] = 20_000,
) -> None:
    """Serve decisions over HTTP; keeps answering while Redis or Kafka is down.

    Example: trimtab serve --host 0.0.0.0 --port 8080 --node-id ranker-7
    """
    from prometheus_client import CollectorRegistry

    from monitoring.multiprocess_folder import require_multiprocess_folder
    from serving_agent.sidecar import UnconfirmedDecisions, create_app
    from trimtab.node import Node
    from trimtab.process_log import log_to_stderr

    log_to_stderr()
    _leave_when_told()
    require_multiprocess_folder()
    settings, registry = load_settings(), CollectorRegistry()
    with _listening(host, port) as listener:
        name = node_id or f"{socket.gethostname()}-{listener.getsockname()[1]}"
        with Node.from_settings(settings, node_id=name, kill_file=kill_file, killed=killed, registry=registry) as node:
            app = create_app(node.serving, registry, UnconfirmedDecisions(max_unconfirmed))
            bound = "{}:{}".format(*listener.getsockname()[:2])
            sys.stderr.write(f"node {name} of {node.serving.config.experiment.name} serves on http://{bound}\n")
            _run_until_told(app, listener)


def _leave_when_told() -> None:
    """SIGTERM and SIGINT close the node before the process ends: while it starts, and once the server has stopped.

    uvicorn handles both while it serves and raises the signal again afterwards.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, lambda *_: sys.exit(0))


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    try:
        listener = socket.create_server((host, port), backlog=2048)
    except (OSError, OverflowError) as fault:
        raise SettingError(f"{host}:{port} cannot be opened: {fault}", fix="choose a free --port") from fault
    with listener:
        # asyncio only sets this on sockets made with an explicit protocol number; without it every answer takes 40 ms.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield listener


def _run_until_told(app: object, listener: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT; requests in flight are answered first."""
    import uvicorn

    config = uvicorn.Config(
        app,  # type: ignore[arg-type]
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=CLOSE_SECONDS,
    )
    uvicorn.Server(config).run(sockets=[listener])
