"""Many callbacks of a gateway's peer at the same time. Each is repeated until it is answered with 2xx."""

import http.client
import queue
import threading
import time
from collections.abc import Mapping

from tests.support.gateway_peers import Callback

AGAIN = 0.2  # seconds until a callback is posted again


class Flood:
    """Threads that post callbacks, each of which has a name, within a `with` block."""

    def __init__(self, port: int, callbacks: Mapping[str, Callback], threads: int = 16) -> None:
        self._port = port
        self._waiting: queue.SimpleQueue[tuple[str, Callback]] = queue.SimpleQueue()
        for one in callbacks.items():
            self._waiting.put(one)
        self._count = len(callbacks)
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self.answered: set[str] = set()  # with 2xx
        self.cut_off: set[str] = set()  # callbacks whose last attempt ended without an answer
        self.posts = 0
        self._threads = [threading.Thread(target=self._post_on) for _ in range(threads)]

    def __enter__(self) -> "Flood":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def is_done(self) -> bool:
        """Return whether all callbacks are answered."""
        return len(self.answered) == self._count

    def _post_on(self) -> None:
        while not self._ended.is_set():
            try:
                name, callback = self._waiting.get(timeout=0.05)
            except queue.Empty:
                continue
            self._post(name, callback)
            if name not in self.answered:
                time.sleep(AGAIN)
                self._waiting.put((name, callback))

    def _post(self, name: str, callback: Callback) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        try:
            connection.connect()
        except OSError:
            return
        try:
            connection.request(callback.method, callback.path, callback.body or None, dict(callback.headers))
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException):
            status = 0
        finally:
            connection.close()
        with self._lock:
            self.posts += 1
            self.cut_off.discard(name)
            if 200 <= status < 300:
                self.answered.add(name)
            elif not status:
                self.cut_off.add(name)
