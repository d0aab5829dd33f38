"""The reference: a bare Flask view on gunicorn's own threads, under the same server settings as Phonify.

So many workers and threads, each worker with a socket of its own, and the access log are the same.
With `--worker=phonify` it runs on Phonify's worker as well, which does more for slow clients, keeps
to its share of the CPUs and is a little quicker.
"""

import gc
import signal
import sys

from flask import Flask
from gunicorn.workers.gthread import ThreadWorker

from phonify.config import Settings
from phonify.serving import Server, Worker, open_sockets

app = Flask(__name__)


@app.get("/hello")
def hello() -> dict[str, str]:
    """Answer with a small JSON object."""
    return {"message": "hello"}


class StockWorker(ThreadWorker):  # type: ignore[misc] - gunicorn has no types
    """gunicorn's worker as it is."""

    slot = 0  # which of the server's sockets it accepts from

    def run(self) -> None:
        """Serve."""
        signal.pthread_sigmask(signal.SIG_SETMASK, [])  # Phonify's server starts it deaf
        super().run()


class BareServer(Server):
    """Phonify's server with another worker."""

    worker: type[ThreadWorker] = StockWorker

    def load_config(self) -> None:
        """Set gunicorn's settings."""
        super().load_config()
        self.cfg.set("worker_class", self.worker)


if __name__ == "__main__":
    if "--worker=phonify" in sys.argv:
        BareServer.worker = Worker
        gc.freeze()  # as Phonify does
    settings = Settings(port=int(sys.argv[1]))
    BareServer(app, settings, open_sockets(settings.host, settings.port, settings.workers)).run()
