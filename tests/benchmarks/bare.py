"""A bare Flask view that answers with a small JSON object. The benchmark compares Phonify with this view."""

from flask import Flask

app = Flask(__name__)


@app.get("/hello")
def say_hello() -> dict[str, str]:
    """Answer with a small JSON object."""
    return {"message": "hello"}
