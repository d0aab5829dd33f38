"""gunicorn's logger with our format. The access log has one line for each request. API keys are masked.

At level DEBUG, the access log contains all requests for pages. At other levels, successful requests for pages are left
out, because they are too frequent for the log. If a page is open in a browser, this page sends a request every second.
"""

import logging
from datetime import timedelta
from typing import Any

from gunicorn.glogging import Logger

from ..logs import escape_controls, make_formatter, mask_keys, mask_request
from ..request_id import HEADER

_PAGES = ("/inbox", "/docs")


class ServerLogger(Logger):  # type: ignore[misc]
    """A logger for gunicorn. It writes one line for each request."""

    log_format = "text"

    def setup(self, cfg: Any) -> None:
        """Set up gunicorn's log handlers with our format."""
        super().setup(cfg)
        for handler in (*self.error_log.handlers, *self.access_log.handlers):
            handler.setFormatter(make_formatter(self.log_format))

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:  # noqa: ARG002 - of gunicorn
        """Log one request."""
        status = int(str(resp.status).partition(" ")[0])
        if not self.access_log_enabled or not _is_logged(environ.get("RAW_URI", "-"), status):
            return
        method, address = mask_request(environ.get("REQUEST_METHOD", "-"), environ.get("RAW_URI", "-"))
        request_id = next((value for name, value in resp.headers if name == HEADER), None)
        self.write_access(
            {
                "client": environ.get("REMOTE_ADDR") or "-",
                "method": method,
                "path": address,
                "status": status,
                "bytes": resp.sent,
                "milliseconds": round(request_time.total_seconds() * 1000, 1),
                "request_id": mask_keys(request_id) if request_id is not None else None,
            }
        )

    def write_access(self, request: dict[str, Any]) -> None:
        """Write a line of text to the access log. The line describes one request."""
        self.access_log.info(
            '%s "%s %s" %s %s %sms',
            request["client"],
            request["method"],
            escape_controls(request["path"]),
            request["status"],
            request["bytes"],
            request["milliseconds"],
        )


class JsonLogger(ServerLogger):
    """A logger for gunicorn. It writes each line as a JSON object."""

    log_format = "json"

    def write_access(self, request: dict[str, Any]) -> None:
        """Write a line of JSON to the access log. The line describes one request."""
        self.access_log.info("answered", extra=request)


def _is_logged(address: str, status: int) -> bool:
    """Return whether the access log has a line for a request."""
    path = address.partition("?")[0]
    is_page = path == "/" or any(path == page or path.startswith(f"{page}/") for page in _PAGES)
    return not is_page or status >= 400 or logging.getLogger("phonify").isEnabledFor(logging.DEBUG)
