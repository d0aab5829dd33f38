"""The reference: a bare Flask view under the very same server settings as Phonify."""

import sys

from flask import Flask

from phonify.config import Settings
from phonify.serving import Server, open_sockets

app = Flask(__name__)


@app.get("/")
def hello() -> dict[str, str]:
    """Answer with a small JSON object."""
    return {"message": "hello"}


if __name__ == "__main__":
    settings = Settings(port=int(sys.argv[1]))
    Server(app, settings, open_sockets(settings.host, settings.port, settings.workers)).run()
