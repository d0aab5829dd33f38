"""gunicorn with our settings and hooks. Its worker answers invalid HTTP with JSON.

The loggers are in `loggers.py`.
"""

import json
import os
import socket
from pathlib import Path
from types import FrameType
from typing import Any
from wsgiref.types import WSGIApplication

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.workers.gthread import ThreadWorker

from ..errors import fault_for_status
from ..services import Services
from . import processes
from .loggers import JsonLogger, ServerLogger


class Worker(ThreadWorker):  # type: ignore[misc]
    """gunicorn's worker with threads. If the worker reports an error to a client, the answer is in JSON."""

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:
        """If a client sends invalid HTTP, send an answer in JSON. gunicorn logs the error and chooses the status."""
        ours, theirs = socket.socketpair()
        with ours, theirs:
            super().handle_error(req, theirs, addr, exc)
            theirs.close()
            status_line = ours.recv(1024).partition(b"\r\n")[0] or b"HTTP/1.1 400 Bad Request"
        fault = fault_for_status(int(status_line.split()[1]))  # the log has the details
        body = json.dumps({"errors": [fault.to_dict()]}).encode()
        head = f"\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        try:
            client.settimeout(1)
            client.sendall(status_line + head.encode() + body)
        except OSError:
            self.log.debug("the client closed the connection before the answer")


class WebServer(BaseApplication):  # type: ignore[misc]
    """A gunicorn server for an existing app. The server uses a socket that already listens."""

    def __init__(self, app: WSGIApplication, services: Services, descriptor: int, *, parent: int) -> None:
        self._app = app
        self._services = services
        self._descriptor = descriptor
        self._parent = parent
        super().__init__()

    def load_config(self) -> None:
        """Set gunicorn's settings."""
        settings = self._services.settings
        threads = settings.threads + settings.waiting
        for name, value in {
            "bind": f"fd://{self._descriptor}",
            "workers": settings.workers,
            "threads": threads,
            # Connections and database files are open files. With this number, the total stays below the usual limit.
            "worker_connections": threads + 500,
            "worker_class": Worker,
            "logger_class": JsonLogger if settings.log_format == "json" else ServerLogger,
            "accesslog": "-" if settings.access_log else None,
            "loglevel": "warning",
            "graceful_timeout": settings.grace,
            "timeout": max(60, settings.grace + 30),
            "keepalive": settings.keepalive,
            "sendfile": False,  # with sendfile, the access log would show 0 bytes
            "limit_request_line": 8190,
            "limit_request_field_size": 32_768,  # browsers send the cookies of all apps on the same host
            "forwarder_headers": "",  # no client can set SCRIPT_NAME
            "worker_tmp_dir": "/dev/shm" if Path("/dev/shm").is_dir() else None,  # noqa: S108 - gunicorn's heartbeat files, in memory
            "control_socket_disable": True,
            "when_ready": self._begin_master,
            "post_worker_init": self._begin_worker,
            "worker_exit": self._end_worker,
        }.items():
            self.cfg.set(name, value)

    def load(self) -> WSGIApplication:
        """Return the app."""
        return self._app

    def _begin_master(self, _: Arbiter) -> None:
        # A worker sets its signal handlers some time after the fork. A SIGTERM before this moment would be lost.
        os.register_at_fork(before=processes.hold_signals, after_in_parent=processes.heed_signals)
        processes.begin(self._parent)

    def _begin_worker(self, worker: Worker) -> None:
        """Set the handler of SIGTERM. The handler ends requests that wait for an event. So gunicorn stops quickly."""
        services = self._services

        def stop(signum: int, frame: FrameType | None) -> None:
            services.stop()
            worker.handle_exit(signum, frame)

        processes.begin(worker.ppid, stop)

    def _end_worker(self, _arbiter: Arbiter, _worker: Worker) -> None:
        self._services.database.close()  # when the last process closes it, SQLite moves the -wal file into the database
