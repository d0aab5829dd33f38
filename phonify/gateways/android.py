"""The gateway `android`. It uses the Android app "SMS Gateway for Android" (https://docs.sms-gate.app).

There are three ways to reach the app: a direct request to the phone, a private server, or the vendor's cloud. The app
stores each message under Phonify's id. If the app already has this id, it answers 409. So if no answer arrives, Phonify
can safely repeat the message.

A server stores the ids separately for each device. If a request has no device id, the server chooses a device. So each
request to a server has a device id. A direct request to the phone needs no device id.
"""

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from ..outgoing.http_client import Answer, Request
from ..sms.numbers import parse_msisdn
from .android_callbacks import EVENTS, Place, read_callback, read_state, shorten, verify
from .base import GatewayFault, Later, Limits, OutboundMessage, Outcome, Refused, Taken
from .events import CallbackRequest, Heard, Receipt
from .over_http import HttpGateway, encode_credentials, read_object
from .variables import Secret, Variables

Found = TypeVar("Found")

SHORTEST_TTL = 5  # seconds
MOST_ANSWER = 256_000  # bytes; lists of devices and webhooks may be long
CALLBACK_PATH = "/gateways/android/callback"

# Statuses that concern all messages.
_PAUSES = {
    401: "the app refuses the credentials; check PHONIFY_ANDROID_USERNAME and PHONIFY_ANDROID_PASSWORD",
    403: "the user has no permission for this request; check PHONIFY_ANDROID_USERNAME",
    404: "the app is not at PHONIFY_ANDROID_URL",
    405: "the app is not at PHONIFY_ANDROID_URL",
    429: "the app has received too many requests; it accepts requests again later",
    502: "a proxy does not reach the app",
    503: "the queue of the device is full, or the device is offline",
    504: "a proxy does not reach the app",
}


class AndroidGateway(HttpGateway):
    """Sends through the SIM of an Android phone."""

    repeatable = True
    can_look_up = True
    name = "android"
    limits = Limits(calls=10)
    variables = (
        "PHONIFY_ANDROID_URL",
        "PHONIFY_ANDROID_USERNAME",
        "PHONIFY_ANDROID_PASSWORD",
        "PHONIFY_ANDROID_PASSWORD_FILE",
        "PHONIFY_ANDROID_DEVICE",
        "PHONIFY_ANDROID_SIM",
        "PHONIFY_ANDROID_NUMBER",
        "PHONIFY_ANDROID_SIGNING_KEY",
        "PHONIFY_ANDROID_SIGNING_KEY_FILE",
    )

    def __init__(
        self,
        url: str,
        username: str,
        password: Secret,
        *,
        device: str = "",
        sim: int = 0,
        number: str | None = None,
        signing_key: Secret | None = None,
        public_url: str = "",
    ) -> None:
        self.number = number
        self._url = url
        self.peer = urlsplit(url).netloc
        self._username = username
        self._password = password
        self._signing_key = signing_key or Secret("")
        self._public_url = public_url
        country = parse_msisdn(number).country if number and number.startswith("+") else None
        self._place = Place(device, sim, country)

    @property
    def place(self) -> str:
        """The name, the URL and the device of the gateway. The app on this device keeps the ids of messages."""
        return " ".join(filter(None, (self.name, self._url, self._place.device)))

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read the settings from `environ`, and create the gateway.

        Raises ValueError with one line for each error.
        """
        variables = Variables(environ, "PHONIFY_ANDROID_")
        url, username = variables.read_url("URL"), variables.read("USERNAME")
        if ":" in username:
            variables.add_error("USERNAME", "it must not have a colon")
        device = variables.read("DEVICE", "")
        if url and not device and urlsplit(url).path:
            # If the URL has no path, the app on the phone answers directly. Then no device id is needed.
            variables.add_error(
                "DEVICE", "is missing; without a device id, the server chooses a device for each message"
            )
        password = variables.read_secret("PASSWORD")
        sim = variables.read_whole("SIM", 0, lowest=0, highest=3)
        number = variables.read_number("NUMBER")
        signing_key = variables.read_secret("SIGNING_KEY", required=False)
        variables.finish()
        return cls(
            url,
            username,
            password,
            device=device,
            sim=sim,
            number=number,
            signing_key=signing_key,
            public_url=environ.get("PHONIFY_PUBLIC_URL", "").rstrip("/"),
        )

    def check(self, to: str, origin: str, body: str) -> Refused | None:  # noqa: ARG002 - only the sender can be wrong
        """Return `Refused` if `origin` is not the number of the Android phone. The app can't use another sender."""
        possible = origin == self.number if self.number else origin.startswith("+")
        return None if possible else Refused("sender_not_permitted")

    def build_request(self, message: OutboundMessage) -> Request:
        """Return the request that sends a message."""
        content: dict[str, Any] = {
            "id": message.id,
            "phoneNumbers": [message.to],
            "textMessage": {"text": message.body},
            "ttl": max(int(message.validity), SHORTEST_TTL),
            "withDeliveryReport": True,
        }
        if self._place.device:
            content["deviceId"] = self._place.device
        if self._place.sim:
            content["simNumber"] = self._place.sim
        # Phonify has already checked the number. The app's check is skipped, because it accepts only mobile numbers.
        return self._request("POST", "/messages", content)._replace(query="skipPhoneValidation=true")

    def judge(self, message: OutboundMessage, answer: Answer) -> Outcome:
        """Convert an answer to an outcome."""
        if answer.status == 409:
            return Taken()  # at an earlier attempt
        if 200 <= answer.status < 300:
            if read_object(answer).get("id") == message.id:
                return Taken()
            return Later(pause=True, reason="the answer does not come from the app; check PHONIFY_ANDROID_URL")
        if answer.status == 400:
            return _judge_refusal(_read_message(answer))
        if answer.status in _PAUSES or 300 <= answer.status < 400:
            reason = _PAUSES.get(answer.status, "the answer is a redirect; check PHONIFY_ANDROID_URL")
            unsure = answer.status in (502, 504)
            return Later(retry_after=answer.retry_after, pause=True, reason=reason, unsure=unsure)
        # It is unknown whether the app has the message. If the app has it, the app will recognise the id next time.
        reason = f"the app answered with the status {answer.status}"
        return Later(retry_after=answer.retry_after, reason=reason, unsure=True)

    def hear(self, request: CallbackRequest) -> Heard:
        """Read a callback."""
        verify(request, self._signing_key)
        return Heard(read_callback(request.body, self._place))

    def look_up(self, message: OutboundMessage, references: Sequence[str]) -> Sequence[Receipt]:  # noqa: ARG002 - the app knows Phonify's id
        """Ask the app for the state of a message."""
        answer = self.ask(self._request("GET", f"/messages/{message.id}"))
        if answer.status == 404:
            return ()
        found = _expect(answer, dict)
        if found.get("id") != message.id:
            raise GatewayFault("the app's answer is about a different message")
        return read_state(message.id, found)

    def probe(self) -> str:
        """Ask the app for its state and its devices."""
        health = read_object(self.ask(self._request("GET", "/health")))
        answer = self.ask(self._request("GET", "/devices"))
        if answer.status == 404:
            answer = self.ask(self._request("GET", "/device"))  # old versions of the app on a phone
        devices = {
            str(device.get("id")): device
            for device in _expect(answer, list)
            if isinstance(device, dict) and not device.get("deletedAt")
        }
        known = ", ".join(sorted(devices)) or "none"
        if not self._place.device and len(devices) > 1:
            raise GatewayFault(f"PHONIFY_ANDROID_DEVICE must name one of the devices: {known}")
        if not devices or self._place.device not in ("", *devices):
            raise GatewayFault(
                f"the app does not know the device; check PHONIFY_ANDROID_DEVICE; known devices: {known}"
            )
        device_id = self._place.device or next(iter(devices))
        name, seen = devices[device_id].get("name"), devices[device_id].get("lastSeen")
        version, status = health.get("version", "of unknown version"), health.get("status", "unknown")
        return f"app {version}, health {status}; device {device_id} ({name}), last seen {seen}"

    def register(self) -> Sequence[str]:
        """Register the callbacks in the app. The webhooks of other programs do not change."""
        missing = {"PHONIFY_PUBLIC_URL": self._public_url, "PHONIFY_ANDROID_SIGNING_KEY": self._signing_key}
        if faults := [f"{name} is missing" for name, value in missing.items() if not value]:
            raise GatewayFault("; ".join(faults))
        url = self._public_url + CALLBACK_PATH
        lines = []
        if not url.startswith(("https://", "http://127.0.0.1:", "http://127.0.0.1/")):
            lines.append("PHONIFY_PUBLIC_URL begins with http://, but the app posts only to https:// and 127.0.0.1")
        webhooks = _expect(self.ask(self._request("GET", "/webhooks")), list)
        known = {str(one.get("id")): one for one in webhooks if isinstance(one, dict)}
        for event in EVENTS:
            # The id is the same each time, so that the app replaces the webhook. Other Phonify servers have other ids.
            id_ = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{url} {self._place.device} {event}"))
            webhook = {"id": id_, "url": url, "event": event}
            if self._place.device:
                webhook["deviceId"] = self._place.device
            same = webhook.items() <= known.pop(id_, {}).items()
            if not same:
                _expect(self.ask(self._request("POST", "/webhooks", webhook)), object)
            lines.append(f"{event}: {'was registered already' if same else 'registered'} for {url}")
        if known:
            lines.append(f"webhooks of other programs, left unchanged: {len(known)}")
        return lines

    def _request(self, method: str, path: str, content: object = None) -> Request:
        credentials = encode_credentials(self._username, self._password)
        headers = {"Authorization": f"Basic {credentials}", "Accept": "application/json"}
        body = None
        if content is not None:
            body, headers["Content-Type"] = json.dumps(content).encode(), "application/json"
        return Request(method, self._url + path, body, headers, most_answer=MOST_ANSWER)


def _judge_refusal(text: str) -> Outcome:
    """Return the outcome of a request that the app answered with the status 400."""
    lower = text.lower()
    if "device" in lower:
        return Later(pause=True, reason="the app does not know the device; check PHONIFY_ANDROID_DEVICE")
    words = {"expired": "validity_expired", "phone": "invalid_number"}
    return Refused(next((words[word] for word in words if word in lower), "delivery_failed"), code=shorten(text))


def _read_message(answer: Answer) -> str:
    """Return the app's explanation of an error."""
    message = read_object(answer).get("message")
    return message if isinstance(message, str) else ""


def _expect(answer: Answer, kind: type[Found]) -> Found:
    """Return the JSON of an answer. Raises GatewayFault if the app has refused the request."""
    if not 200 <= answer.status < 300:
        known = _PAUSES.get(answer.status, f"the app answered with the status {answer.status}")
        raise GatewayFault(": ".join(filter(None, (known, shorten(_read_message(answer))))))
    try:
        found = json.loads(answer.text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, kind):
        raise GatewayFault("the answer does not come from the app; check PHONIFY_ANDROID_URL")
    return found
