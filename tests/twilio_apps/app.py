"""A small app as Twilio's quickstarts for Flask have it: it sends, receives, checks the signature, and answers.

Its only line for Phonify is the one with `base_url`.
"""

import os

from flask import Flask, Response, abort, request
from twilio.request_validator import RequestValidator
from twilio.rest import Client
from twilio.twiml.messaging_response import MessagingResponse

client = Client(os.environ["TWILIO_ACCOUNT_SID"], os.environ["TWILIO_AUTH_TOKEN"])
client.api.base_url = os.environ["TWILIO_URL"]

app = Flask(__name__)
validator = RequestValidator(os.environ["TWILIO_AUTH_TOKEN"])
statuses: list[str] = []


@app.before_request
def check_signature() -> None:
    """Let in what Twilio has signed, and the test."""
    signature = request.headers.get("X-Twilio-Signature", "")
    if request.path in ("/sms", "/status") and not validator.validate(request.url, request.form, signature):
        abort(403)


@app.post("/send")
def send() -> dict[str, str | None]:
    """Send a message."""
    callback = f"{request.url_root}status?order=17"
    message = client.messages.create(
        to=request.form["to"], from_="+15005550006", body="Your order is on its way", status_callback=callback
    )
    return {"sid": message.sid}


@app.post("/sms")
def reply() -> str:
    """Answer a received message, with the content type of Flask."""
    response = MessagingResponse()
    response.message(f"You said: {request.form['Body']}")
    return str(response)


@app.post("/status")
def note_status() -> Response:
    """Note a status."""
    statuses.append(f"{request.args['order']} {request.form['MessageStatus']}")
    return Response(status=204)


@app.get("/statuses")
def list_statuses() -> list[str]:
    """Return all statuses."""
    return statuses


if __name__ == "__main__":
    from werkzeug.serving import make_server

    server = make_server("127.0.0.1", 0, app, threaded=True)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
