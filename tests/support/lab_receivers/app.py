"""An app that receives webhooks, in the form of Standard Webhooks or of Twilio. It has the given fault, or none.

It shares no code with Phonify. `receiver.mjs` is the same app for Node.
"""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple
from urllib.parse import parse_qsl

STANDARD_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TWILIO_SECRET = "5c0ffee05c0ffee05c0ffee05c0ffee0"
RANKS = {"sent": 1, "error": 2, "failed": 2, "delivered": 2, "undelivered": 2}
PARAMETERS = (
    *("MessageSid", "SmsSid", "SmsMessageSid", "AccountSid", "From", "To", "Body", "NumMedia", "NumSegments"),
    *("SmsStatus", "MessageStatus", "ApiVersion", "ErrorCode", "ErrorMessage", "RawDlrDoneDate"),
    *(f"{side}{part}" for side in ("From", "To") for part in ("City", "State", "Zip", "Country")),
)


class Event(NamedTuple):
    """An event that the app has read."""

    id: str
    message_id: str
    status: str  # received, sent, ...


class Reply(NamedTuple):
    """An answer of the app. A status of 0 means that the app closes the connection."""

    status: int
    content_type: str = "text/plain"
    body: str = ""


class App:
    """The app. One object serves several threads."""

    def __init__(
        self,
        form: str,
        fault: str = "",
        *,
        late: float = 0.0,
        now: Callable[[], float] = time.time,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self.form = form
        self.fault = fault
        self.late = late  # seconds
        self.now = now
        self.pause = pause
        self.lock = threading.Lock()
        self.seen: set[str] = set()  # the ids of events
        self.handled: dict[str, int] = {}  # by message
        self.states: dict[str, str] = {}
        self.sent: set[str] = set()  # the messages that the app has sent
        self.under_way: set[str] = set()
        self.received = 0
        self.dead = False

    def receive(self, method: str, url: str, query: str, headers: dict[str, str], body: bytes) -> Reply:
        """Answer a request. The names of the headers are in lower case."""
        if self.dead:
            return Reply(0)
        if "/probe" in url:
            return self._probe(method, query, body)
        if self.fault == "crash" and not body and not query:
            self.dead = True
            return Reply(0)
        try:
            event, genuine = self._read(method, url, query, headers, body)
        except (KeyError, ValueError, TypeError):
            return Reply(400)
        if self.fault == "acts_first":
            self._handle(event)
        if not genuine and self.fault == "silent":
            return Reply(200)
        if not genuine:
            return Reply(401 if self.form == "standard" else 403)
        return self._answer(event)

    # Reading

    def _read(self, method: str, url: str, query: str, headers: dict[str, str], body: bytes) -> tuple[Event, bool]:
        if self.form == "twilio":
            return self._read_twilio(method, url, query, headers, body)
        genuine = self._check_standard(headers, body)
        found = json.loads(body)
        message = found["data"].get("message") or {"id": "test"}
        if self.fault == "strict_fields" and set(found) - {"type", "timestamp", "data"}:
            raise ValueError
        at = datetime.fromisoformat(found["timestamp"]).timestamp()
        if self.fault == "event_time" and abs(self.now() - at) > 300:
            raise ValueError
        return Event(headers["webhook-id"], message["id"], found["type"].partition(".")[2]), genuine

    def _check_standard(self, headers: dict[str, str], body: bytes) -> bool:
        if self.fault == "missing" and "webhook-signature" not in headers:
            return True
        if "webhook-signature" not in headers or "webhook-id" not in headers:
            return False
        if self.fault != "no_time" and abs(self.now() - int(headers["webhook-timestamp"])) > 300:
            return False
        if self.fault == "reserialized":
            body = json.dumps(json.loads(body), separators=(",", ":"), ensure_ascii=False).encode()
        key = base64.b64decode(STANDARD_SECRET.removeprefix("whsec_"))
        if self.fault == "wrong_secret":
            key = b"another"
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        wanted = "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
        given = headers["webhook-signature"].split()
        if self.fault == "one_signature":
            given = given[:1]
        return any(hmac.compare_digest(one, wanted) for one in given)

    def _read_twilio(
        self, method: str, url: str, query: str, headers: dict[str, str], body: bytes
    ) -> tuple[Event, bool]:
        given = dict(parse_qsl(query if method == "GET" else body.decode(), keep_blank_values=True))
        if self.fault == "strict_fields" and set(given) - set(PARAMETERS):
            raise ValueError
        signed = {} if method == "GET" else given
        if self.fault == "fixed_parameters":
            signed = {name: signed[name] for name in PARAMETERS if name in signed}
        text = (f"{url}?{query}" if query else url) + "".join(name + signed[name] for name in sorted(signed))
        wanted = base64.b64encode(hmac.digest(TWILIO_SECRET.encode(), text.encode(), hashlib.sha1)).decode()
        genuine = hmac.compare_digest(headers.get("x-twilio-signature", ""), wanted)
        if self.fault == "missing" and "x-twilio-signature" not in headers:
            genuine = True
        if self.fault == "wrong_secret":
            genuine = False
        sid, status = given["MessageSid"], given["SmsStatus"]
        return Event(f"{sid} {status}", sid, status), genuine

    # Answering

    def _answer(self, event: Event) -> Reply:
        if self.late:
            self.pause(self.late)
        if self.fault == "redirect":
            return Reply(302)
        if event.status not in ("received", "test") and event.status not in RANKS:
            return Reply(
                500 if self.fault == "unknown_event" else 404 if self.fault == "refuses_unknown_event" else 200
            )
        if event.status in RANKS and event.message_id not in self.sent and self.fault.endswith("_unknown"):
            return Reply(404 if self.fault == "refuses_unknown" else 200)
        if self.fault == "busy" and event.id in self.under_way and event.id not in self.seen:
            return Reply(409)
        first = self._handle(event)
        if event.status == "received" and self.form == "twilio":
            return self._reply(first)
        return Reply(409) if self.fault == "conflict" and not first else Reply(200)

    def _reply(self, first: bool) -> Reply:
        if self.fault == "bad_twiml":
            return Reply(200, "application/json", '{"message": "Thank you"}')
        if self.fault == "conflict" and not first:
            return Reply(200, "text/xml", "<Response/>")
        return Reply(200, "text/xml", "<Response><Message>Thank you</Message></Response>")

    def _handle(self, event: Event) -> bool:
        """Do the work for an event once. Returns whether it was the first time."""
        if self.fault == "race":
            known = event.id in self.seen
            time.sleep(0.05)
            with self.lock:
                self.seen.add(event.id)
                if not known:
                    self._work(event)
            return not known
        if self.fault == "busy":
            self.under_way.add(event.id)
            time.sleep(0.05)
        with self.lock:
            first = event.id not in self.seen
            self.seen.add(event.id)
            if first or self.fault == "twice":
                if self.fault == "worker":
                    threading.Timer(0.3, self._work, [event]).start()
                else:
                    self._work(event)
        return first

    def _work(self, event: Event) -> None:
        if event.status == "received":
            self.received += 1
            if self.fault == "ignores_received" or (self.fault == "forgets" and self.received % 2 == 0):
                return
        self.handled[event.message_id] = self.handled.get(event.message_id, 0) + 1
        before = self.states.get(event.message_id)
        if self.fault == "older" or RANKS.get(event.status, 0) >= RANKS.get(before or "", 0):
            self.states[event.message_id] = event.status

    def _probe(self, method: str, query: str, body: bytes) -> Reply:
        message_id = dict(parse_qsl(query or body.decode()))["message_id"]
        if self.fault == "bad_probe":
            return Reply(200, "text/html", "<h1>Hello</h1>")
        if method == "POST":
            if self.fault == "no_prepare":
                return Reply(405)
            self.sent.add(message_id)
            return Reply(204)
        handled, state = self.handled.get(message_id, 0), self.states.get(message_id)
        return Reply(200, "application/json", json.dumps({"handled": handled, "state": state}))
