"""The peers of gateways, as processes that a test can kill and stop. The log of each tells what it has got."""

import json
import os
import re
import signal
import sys
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode

from twilio.request_validator import RequestValidator

from tests.support.android_callbacks import DEVICE, PASSWORD, SIGNING_KEY, USERNAME, make_callback, sign
from tests.support.android_peer import CALLS, read_lines
from tests.support.android_server import PREFIX
from tests.support.app import ROOT
from tests.support.gateway_way import Refusal
from tests.support.kannel import Kannel, is_open
from tests.support.load import query, wait_until
from tests.support.servers import Process, find_free_port, starting
from tests.support.twilio import AC, OWN, TOKEN

AT = "2026-01-31T09:30:00Z"  # of texts
SECRET = "0123456789abcdef0123"  # in the path of Kannel's callbacks


class Callback(NamedTuple):
    """A request of a peer to Phonify."""

    method: str
    path: str
    headers: Mapping[str, str] = {}
    body: bytes = b""


class Peer(ABC):
    """A peer. `callbacks` is the port of Phonify, to which it posts."""

    name: str  # of the gateway
    repeatable = False
    refusals = (Refusal(429, {"Retry-After": "1"}), Refusal(429), Refusal(503))

    def __init__(self, folder: Path, callbacks: int) -> None:
        self.folder = folder
        self.callbacks = callbacks
        self.port = find_free_port()
        folder.mkdir()

    @abstractmethod
    def list_settings(self, port: int) -> dict[str, str]:
        """Return the settings of a gateway that reaches the peer at a port."""

    @abstractmethod
    def start(self) -> None:
        """Start the peer, also after a kill."""

    @abstractmethod
    def list_processes(self) -> Iterable[Process]:
        """Return the processes that a gateway sees."""

    @abstractmethod
    def count_taken(self) -> Counter[str]:
        """Return how many times the peer was given a message for each recipient, by its own log."""

    def count_sent(self) -> Counter[str]:
        """Return how many messages the phone of each recipient gets."""
        return self.count_taken()

    @abstractmethod
    def write_receipt(self, message_id: str) -> Callback:
        """Return a receipt `sent` for a message, as the peer would post it."""

    @abstractmethod
    def write_text(self, sender: str) -> Callback:
        """Return a text from a phone to OWN, as the peer would post it. Each sender sends one text."""

    def kill(self) -> None:
        """End the peer with SIGKILL."""
        for process in self.list_processes():
            process.kill_all()

    def drop_callbacks(self) -> None:
        """Restart the peer so that no callback reaches Phonify."""
        self.kill()
        self.callbacks = find_free_port()
        self.start()

    def freeze(self) -> None:
        """Stop the peer. It accepts connections and does not answer."""
        for process in self.list_processes():
            os.killpg(process.popen.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let the peer continue."""
        for process in self.list_processes():
            os.killpg(process.popen.pid, signal.SIGCONT)

    def close(self) -> None:
        """End all processes."""
        self.kill()


class AndroidPeer(Peer):
    """The scripted server of the app. It recognises a repeated id of a device."""

    name = "android"
    repeatable = True

    def __init__(self, folder: Path, callbacks: int) -> None:
        super().__init__(folder, callbacks)
        self._started: list[Process] = []

    def list_settings(self, port: int) -> dict[str, str]:
        values = {"URL": f"http://127.0.0.1:{port}{PREFIX}", "USERNAME": USERNAME, "PASSWORD": PASSWORD}
        values |= {"DEVICE": DEVICE, "SIGNING_KEY": SIGNING_KEY}
        return {f"ANDROID_{name}": value for name, value in values.items()}

    def start(self) -> None:
        url = f"http://127.0.0.1:{self.callbacks}/gateways/android/callback"
        command = [sys.executable, "-m", "tests.support.android_peer", str(self.folder), str(self.port), url]
        log = self.folder / f"output-{len(self._started)}"
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}
        self._started.append(Process(command, log=log, cwd=ROOT, environ=environ))
        wait_until(lambda: is_open(self.port))

    def list_processes(self) -> Iterable[Process]:
        return self._started[-1:]

    def count_taken(self) -> Counter[str]:
        return Counter(to for _, to, _, status in read_lines(self.folder / CALLS) if status in ("202", "409"))

    def count_sent(self) -> Counter[str]:
        return Counter(to for _, to, _, status in read_lines(self.folder / CALLS) if status == "202")

    def write_receipt(self, message_id: str) -> Callback:
        return self._write("sms:sent", {"messageId": message_id}, message_id)

    def write_text(self, sender: str) -> Callback:
        text = {"messageId": "c3", "sender": sender, "recipient": OWN, "message": "Hello", "receivedAt": AT}
        return self._write("sms:received", text, sender)

    def _write(self, event: str, payload: Mapping[str, str], id_: str) -> Callback:
        body = json.dumps(make_callback(event, payload, id=id_)).encode()
        return Callback("POST", "/gateways/android/callback", sign(body, datetime.now(UTC)), body)


class KannelPeer(Peer):
    """Kannel. Its access log has what it was given, and its fake SMSC what it has sent."""

    name = "http"
    refusals = (Refusal(503, body="Temporal failure, try again later."), Refusal(429, {"Retry-After": "1"}))

    def __init__(self, folder: Path, callbacks: int) -> None:
        super().__init__(folder, callbacks)
        self._kannel = Kannel(folder, callbacks=callbacks, password="password", secret=SECRET)
        self._access_log = folder / "access.log"
        self._kannel.configure("group = smsbox\n", f'group = smsbox\naccess-log = "{self._access_log}"\n')
        self.port = self._kannel.ports[13013]

    def list_settings(self, port: int) -> dict[str, str]:
        values = {"PRESET": "kannel", "URL": f"http://127.0.0.1:{port}/cgi-bin/sendsms", "USERNAME": "phonify"}
        values |= {"PASSWORD": "password", "CALLBACK_SECRET": SECRET}
        return {f"HTTP_{name}": value for name, value in values.items()}

    def start(self) -> None:
        self._kannel.start()
        self._kannel.start_smsc()

    def list_processes(self) -> Iterable[Process]:
        return [self._kannel.processes[name] for name in ("smsbox", "bearerbox")]

    def kill(self) -> None:
        super().kill()
        smsc = self._kannel.processes["fakesmsc"]
        wait_until(lambda: smsc.popen.poll() is not None)  # it reads what Kannel had sent, and ends

    def count_taken(self) -> Counter[str]:
        text = self._access_log.read_text(errors="replace") if self._access_log.exists() else ""
        return Counter(re.findall(r"send-SMS request added.* target:(\+\d+)", text))

    def count_sent(self) -> Counter[str]:
        logs = [file.read_text(errors="replace") for file in self.folder.glob("fakesmsc-*.log")]
        return Counter(to for log in logs for to in re.findall(r"Got message \d+: <\S+ (\+\d+) ", log))

    def write_receipt(self, message_id: str) -> Callback:
        return Callback("GET", f"/gateways/http/{SECRET}/receipt/{message_id}?type=8&answer=&reference=")

    def write_text(self, sender: str) -> Callback:
        text = urlencode({"from": sender, "to": OWN, "text": "Hello", "charset": "UTF-8", "id": sender, "at": AT})
        return Callback("GET", f"/gateways/http/{SECRET}/inbound?{text}")

    def close(self) -> None:
        self._kannel.close()


class TwilioPeer(Peer):
    """A second Phonify, whose Twilio-compatible front is the service. Its database has what it was given."""

    name = "twilio"
    refusals = (
        Refusal(429, {"Retry-After": "1"}, '{"code": 20429, "status": 429}'),
        Refusal(429, body='{"code": 20429, "status": 429}'),
        Refusal(429),
    )

    def __init__(self, folder: Path, callbacks: int) -> None:
        super().__init__(folder, callbacks)
        self._stack = ExitStack()
        self._start = self._stack.enter_context(starting(folder))
        self._server: Process | None = None

    def list_settings(self, port: int) -> dict[str, str]:
        values = {"ACCOUNT_SID": AC, "AUTH_TOKEN": TOKEN, "URL": f"http://127.0.0.1:{port}"}
        return {f"TWILIO_GATEWAY_{name}": value for name, value in values.items()}

    def start(self) -> None:
        self._server = self._start(WORKERS="1", PORT=str(self.port), TWILIO_AUTH_TOKEN=TOKEN, ACCESS_LOG="off")
        wait_until(lambda: is_open(self.port))

    def list_processes(self) -> Iterable[Process]:
        return [self._server] if self._server is not None else []

    def count_taken(self) -> Counter[str]:
        numbers = query(self.folder / "phonify.db", "SELECT to_number FROM messages WHERE direction = 'outbound'")
        return Counter(to for (to,) in numbers)

    def write_receipt(self, message_id: str) -> Callback:
        form = {"MessageSid": f"SM{message_id.replace('-', '')}", "MessageStatus": "sent"}
        return self._write(f"/gateways/twilio/status/{message_id}", form)

    def write_text(self, sender: str) -> Callback:
        form = {"MessageSid": f"SM{sender.lstrip('+'):0>32}", "From": sender, "To": OWN, "Body": "Hello"}
        return self._write("/gateways/twilio/received", form)

    def _write(self, path: str, form: Mapping[str, str]) -> Callback:
        signature = RequestValidator(TOKEN).compute_signature(f"http://127.0.0.1:{self.callbacks}{path}", form)
        headers = {"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"}
        return Callback("POST", path, headers, urlencode(form).encode())

    def close(self) -> None:
        self._stack.close()


PEERS: dict[str, type[Peer]] = {peer.name: peer for peer in (AndroidPeer, KannelPeer, TwilioPeer)}
