"""A loopback port that can be connected to a target, closed or slowed down: a broker address that can fail."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from contextlib import suppress
from pathlib import Path

from tests.components.free_port import free_port


class TcpForwarder:
    """Refuses connections until `open(target)`, then passes bytes both ways until `close`.

    `latency` delays every block by this many seconds, `bytes_per_second` (0: no limit) limits each direction of each
    connection; both may be changed at any time. With a `certificate` (PEM, with its key) callers must speak TLS, and
    the target gets what they say in the clear.
    """

    def __init__(self, certificate: Path | None = None) -> None:
        self._tls: ssl.SSLContext | None = None
        if certificate is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(certificate)
        self.port = free_port()
        self.latency = 0.0
        self.bytes_per_second = 0
        self.passed = 0
        """Bytes passed on so far."""
        self._listener: socket.socket | None = None
        self._connections: list[socket.socket] = []

    @property
    def address(self) -> str:
        """`host:port` for clients."""
        return f"127.0.0.1:{self.port}"

    def open(self, target: str) -> None:
        """Starts to accept connections for `target` (`host:port`)."""
        host, port = target.rsplit(":", 1)
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._listener, (host, int(port))), daemon=True).start()

    def close(self) -> None:
        """Ends the listener and every connection."""
        for connection in [*self._connections, *([self._listener] if self._listener else [])]:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        self._connections.clear()
        self._listener = None

    def _accept(self, listener: socket.socket, target: tuple[str, int]) -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                try:
                    near = self._greeted(near)
                    far = socket.create_connection(target)
                except OSError:
                    near.close()
                    continue
                self._connections += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._pass, args=(source, sink), daemon=True).start()

    def _greeted(self, near: socket.socket) -> socket.socket:
        return near if self._tls is None else self._tls.wrap_socket(near, server_side=True)

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while block := source.recv(65_536):
                pause = self.latency + (len(block) / self.bytes_per_second if self.bytes_per_second else 0.0)
                if pause:
                    time.sleep(pause)
                sink.sendall(block)
                self.passed += len(block)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
