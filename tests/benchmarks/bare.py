"""The reference: a bare Flask view that answers with a small JSON object.

run.py serves it with the server, the flags and the number of workers and threads that it serves Phonify with.
"""

from flask import Flask

app = Flask(__name__)


@app.get("/hello")
def say_hello() -> dict[str, str]:
    """Answer with a small JSON object."""
    return {"message": "hello"}
