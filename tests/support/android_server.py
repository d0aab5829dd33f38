"""A replacement for the app SMS Gateway for Android and its server: the same requests, answers, states and callbacks.

It sends nothing. A test moves a message from state to state. `test_android_client.py` compares it with the client that
the vendor of the app publishes.
"""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from tests.support.android_callbacks import DEVICE, OTHER_DEVICE, PASSWORD, SIGNING_KEY, USERNAME

REFUSED, QUEUE_FULL, BROKEN = "+14560000001", "+14560000002", "+14560000003"  # numbers with their own answer
PREFIX = "/3rdparty/v1"
NEXT = {
    "Pending": ("Processed", "Failed", "Cancelled"),
    "Processed": ("Sent", "Failed"),
    "Sent": ("Delivered", "Failed"),
}
EVENTS = {
    "Sent": ("sms:sent", "sentAt"),
    "Delivered": ("sms:delivered", "deliveredAt"),
    "Failed": ("sms:failed", "failedAt"),
}


class Seen(NamedTuple):
    """A request that the server got."""

    method: str
    path: str
    query: dict[str, list[str]]
    content: Any


class AndroidServer:
    """The server. `devices` are the phones of the account."""

    def __init__(self, port: int = 0) -> None:
        self.devices = {DEVICE: "Phone in the office", OTHER_DEVICE: "Phone at home"}
        self.messages: dict[tuple[str, str], dict[str, Any]] = {}  # by id and device
        self.webhooks: dict[str, dict[str, Any]] = {}
        self.callbacks: list[dict[str, Any]] = []  # the contents, each for the webhook with its `webhookId`
        self.seen: list[Seen] = []
        self.devices_path = "devices"
        self.status: int | None = None  # every answer has this status
        self.answer_late = False  # take messages, but answer only when the test ends
        self.ended = threading.Event()
        self._lock = threading.Lock()
        self._numbers = count()
        self._http = ThreadingHTTPServer(("127.0.0.1", port), self._make_handler())
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}{PREFIX}"

    @property
    def environ(self) -> dict[str, str]:
        """The variables of a gateway that uses this server."""
        values = {"URL": self.url, "USERNAME": USERNAME, "PASSWORD": PASSWORD, "DEVICE": DEVICE}
        return {f"PHONIFY_ANDROID_{name}": value for name, value in {**values, "SIGNING_KEY": SIGNING_KEY}.items()}

    def close(self) -> None:
        self.ended.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()

    # What the phone does

    def advance(self, id_: str, state: str, *, reason: str | None = None, times: int = 1) -> None:
        """Move a message to its next state, with callbacks. `times`: the number of callbacks, one for each part."""
        ((key, message),) = [(key, one) for key, one in self.messages.items() if key[0] == id_]
        assert state in NEXT.get(message["state"], ()), f"from {message['state']} to {state}"
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        (recipient,) = message["recipients"]
        message["state"] = recipient["state"] = state
        message["states"][state] = now
        recipient["error"] = reason
        event, time = EVENTS.get(state, ("", ""))
        payload = {"messageId": id_, "phoneNumber": recipient["phoneNumber"], "simNumber": 1, time: now}
        for _ in range(times):
            self._call_back(event, key[1], {**payload, **({"reason": reason} if state == "Failed" else {})})

    def receive(self, sender: str, text: str, *, device: str = DEVICE) -> None:
        """Let a text arrive at a phone."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        payload = {"messageId": "3f1a", "sender": sender, "recipient": None, "phoneNumber": sender, "message": text}
        self._call_back("sms:received", device, {**payload, "simNumber": 1, "receivedAt": now})

    def _call_back(self, event: str, device: str, payload: dict[str, Any]) -> None:
        for webhook in self.webhooks.values():
            if webhook["event"] == event and webhook.get("deviceId") in (None, device):
                names = {"id": f"event-{next(self._numbers)}", "webhookId": webhook["id"], "deviceId": device}
                self.callbacks.append({**names, "event": event, "payload": payload})

    # Its API

    def _answer(self, seen: Seen) -> tuple[int, object]:
        match seen.method, seen.path.removeprefix(PREFIX).split("/")[1:]:
            case "POST", ["messages"]:
                return self._take(seen.content)
            case "GET", ["messages", id_]:
                found = [message for (known, _), message in self.messages.items() if known == id_]
                if len(found) > 1:
                    return 400, {"message": "multiple messages found"}
                return (200, found[0]) if found else (404, {"message": "message not found"})
            case "GET", [path] if path == self.devices_path:
                return 200, [
                    {"id": id_, "name": name, "lastSeen": "2026-01-31T09:30:00Z"} for id_, name in self.devices.items()
                ]
            case "GET", ["webhooks"]:
                return 200, list(self.webhooks.values())
            case "POST", ["webhooks"]:
                webhook = {"id": f"webhook-{next(self._numbers)}", **seen.content}
                self.webhooks[webhook["id"]] = webhook
                return 201, webhook
        return 404, {"message": "Not Found"}

    def _take(self, content: dict[str, Any]) -> tuple[int, object]:
        if content["phoneNumbers"] == [REFUSED]:
            return 400, {"message": f"can't use phone in row 1: invalid phone number {REFUSED}"}
        if content["phoneNumbers"] == [QUEUE_FULL]:
            return 503, {"message": "queue limits exceeded"}
        if content["phoneNumbers"] == [BROKEN]:
            return 500, {"message": "failed to handle request"}
        # Without a device, each message goes to another one. The vendor's server chooses at random.
        device = content.get("deviceId") or list(self.devices)[len(self.messages) % len(self.devices)]
        if device not in self.devices:
            return 400, {"message": "failed to select device: record not found"}
        key = content.setdefault("id", f"message-{next(self._numbers)}"), device
        if key in self.messages:
            return 409, {"message": "duplicate id"}
        recipients = [{"phoneNumber": to, "state": "Pending", "error": None} for to in content["phoneNumbers"]]
        self.messages[key] = {
            "id": key[0],
            "deviceId": device,
            "state": "Pending",
            "recipients": recipients,
            "states": {},
        }
        return 202, self.messages[key]

    def _make_handler(self) -> type[BaseHTTPRequestHandler]:
        server = self
        expected = "Basic " + base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                seen = Seen(self.command, parts.path, parse_qs(parts.query), json.loads(data) if data else None)
                with server._lock:
                    server.seen.append(seen)
                    if parts.path == f"{PREFIX}/health":
                        status, answer = 200, {"status": "pass", "version": "1.2.3", "releaseId": 1}
                    elif self.headers.get("Authorization") != expected:
                        status, answer = 401, {"message": "Unauthorized"}
                    elif server.status is not None:
                        status, answer = server.status, {"message": "as the test wants it"}
                    else:
                        status, answer = server._answer(seen)
                if server.answer_late and self.command == "POST":
                    server.ended.wait()
                content = json.dumps(answer).encode()
                with suppress(OSError):  # the client has gone
                    self.send_response(status)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(content)))
                    self.end_headers()
                    self.wfile.write(content)

            do_POST = do_GET  # noqa: N815 - the name in http.server

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@contextmanager
def serving() -> Iterator[AndroidServer]:
    """Yield a server. It ends with the block."""
    server = AndroidServer()
    try:
        yield server
    finally:
        server.close()
