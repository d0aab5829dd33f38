"""The access log: one line for each request, as text or JSON, without keys.

Other log lines of gunicorn have the same format.
"""

import time
from datetime import timedelta
from typing import Any

from gunicorn.glogging import Logger

from ..logs import JsonFormatter, escape_controls, mask_keys, mask_request
from ..request_id import HEADER


class TextLogger(Logger):  # type: ignore[misc]
    """gunicorn's logger with one line of text for each request."""

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:  # noqa: ARG002 - of gunicorn
        """Log one request."""
        if not self.access_log_enabled:
            return
        method, address = mask_request(environ.get("REQUEST_METHOD", "-"), environ.get("RAW_URI", "-"))
        self.access_log.info(
            '%s %s "%s %s" %s %s %.1fms',
            environ.get("REMOTE_ADDR") or "-",
            time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            method,
            escape_controls(address),
            str(resp.status).partition(" ")[0],
            resp.sent,
            request_time.total_seconds() * 1000,
        )


class JsonLogger(Logger):  # type: ignore[misc]
    """gunicorn's logger with one JSON object in each line."""

    def setup(self, cfg: Any) -> None:
        """Set up the handlers."""
        super().setup(cfg)
        for handler in (*self.error_log.handlers, *self.access_log.handlers):
            handler.setFormatter(JsonFormatter())

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:  # noqa: ARG002 - of gunicorn
        """Log one request."""
        if not self.access_log_enabled:
            return
        method, path = mask_request(environ.get("REQUEST_METHOD", "-"), environ.get("RAW_URI", "-"))
        request_id = next((value for name, value in resp.headers if name == HEADER), None)
        self.access_log.info(
            "answered",
            extra={
                "client": environ.get("REMOTE_ADDR") or "-",
                "method": method,
                "path": path,
                "status": int(str(resp.status).partition(" ")[0]),
                "bytes": resp.sent,
                "milliseconds": round(request_time.total_seconds() * 1000, 1),
                "request_id": mask_keys(request_id) if request_id is not None else None,
            },
        )
