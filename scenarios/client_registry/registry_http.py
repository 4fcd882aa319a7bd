"""The registry over HTTP: GET /health, /clients and /clients/ID."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from registry_store import read_clients

Health = Callable[[], dict[str, Any]]


def serve(database: Path, health: Health, *, port: int) -> ThreadingHTTPServer:
    """Serve on this machine's loopback, in a thread; port 0 takes a free one."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/health":
                self._answer(HTTPStatus.OK, health())
                return
            clients = {str(client): json.loads(body) for client, body in read_clients(database).items()}
            if self.path == "/clients":
                self._answer(HTTPStatus.OK, clients)
                return
            client = clients.get(self.path.removeprefix("/clients/"))
            if client is None:
                self._answer(HTTPStatus.NOT_FOUND, {"error": f"there is nothing at {self.path}"})
            else:
                self._answer(HTTPStatus.OK, client)

        def log_message(self, *_: object) -> None:
            """Requests are not logged."""

        def _answer(self, status: HTTPStatus, body: dict[str, Any]) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, name="http", daemon=True).start()
    return server
