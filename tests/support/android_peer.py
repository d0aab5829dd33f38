"""The phone of a test in a process of its own: it logs each call before it answers, and repeats its callbacks.

`python -m tests.support.android_peer FOLDER PORT CALLBACK_URL`. The logs in the folder are also its memory: after a
kill and a restart, it still knows the ids that it has taken and the callbacks that were answered.
"""

import os
import queue
import random
import sys
import threading
import time
import urllib.request
from datetime import UTC, datetime
from json import dumps
from pathlib import Path
from typing import Any

from tests.support.android_callbacks import DEVICE, make_callback, sign
from tests.support.android_server import EVENTS, AndroidServer

CALLS, TRIED, TOLD = "calls", "tried", "told"  # the logs
AGAIN = 0.3  # seconds until an unanswered callback is posted again
POSTERS = 6  # threads


def append(file: Path, line: str) -> None:
    """Append a line with one write, so that a kill leaves no half line."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(descriptor, f"{line}\n".encode())
    os.close(descriptor)


def read_lines(file: Path) -> list[list[str]]:
    """Return the words of each line of a log."""
    return [line.split() for line in file.read_text().splitlines()] if file.exists() else []


class Phone(AndroidServer):
    """The server of the app, and the phone behind it: it tells of each message that it was sent and delivered."""

    def __init__(self, folder: Path, port: int, callback_url: str) -> None:
        self._folder = folder
        self._callback_url = callback_url
        self._due: queue.PriorityQueue[tuple[float, str, str]] = queue.PriorityQueue()
        super().__init__(port)
        told = {tuple(words) for words in read_lines(folder / TOLD)}
        for id_, to, device, status in read_lines(folder / CALLS):
            if status == "202":
                self._keep(id_, to, device)
                for state in ("Sent", "Delivered"):
                    if (id_, state) not in told:
                        self._due.put((time.monotonic(), id_, state))
        for _ in range(POSTERS):
            threading.Thread(target=self._post_on, daemon=True).start()

    def _keep(self, id_: str, to: str, device: str) -> None:
        recipients = [{"phoneNumber": to, "state": "Pending", "error": None}]
        self.messages[id_, device] = {"id": id_, "deviceId": device, "state": "Pending", "recipients": recipients}

    def _take(self, content: dict[str, Any]) -> tuple[int, object]:
        status, answer = super()._take(content)
        append(self._folder / CALLS, f"{content['id']} {content['phoneNumbers'][0]} {content['deviceId']} {status}")
        if status == 202:
            for state in ("Sent", "Delivered"):  # in any order
                self._due.put((time.monotonic() + random.uniform(0, 0.3), content["id"], state))
        return status, answer

    def _post_on(self) -> None:
        while True:
            due, id_, state = self._due.get()
            time.sleep(max(0.0, due - time.monotonic()))
            append(self._folder / TRIED, f"{id_} {state}")
            if self._post(id_, state):
                append(self._folder / TOLD, f"{id_} {state}")
            else:
                self._due.put((time.monotonic() + AGAIN, id_, state))

    def _post(self, id_: str, state: str) -> bool:
        """Post a callback. Returns whether it was answered with 2xx."""
        event, time_ = EVENTS[state]
        now = datetime.now(UTC)
        payload = {"messageId": id_, "simNumber": 1, time_: now.isoformat(timespec="milliseconds")}
        body = dumps(make_callback(event, payload, id=f"{id_}-{state}", deviceId=DEVICE)).encode()
        request = urllib.request.Request(self._callback_url, body, sign(body, now))
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return 200 <= answer.status < 300
        except OSError:
            return False


if __name__ == "__main__":
    Phone(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
