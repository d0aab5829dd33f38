"""A scripted HTTP provider for the gateway `http`, and the variables that lead to it."""

from collections.abc import Callable, Mapping
from urllib.parse import parse_qs

from phonify.gateways.base import Gateway, Outcome
from phonify.gateways.http import TemplateGateway
from tests.gateways.contract import make_message, send
from tests.support.receivers import Received, Receiver, status

PUBLIC_URL = "https://sms.example.com"
CALLBACK_SECRET = "a-secret-of-the-callbacks"
PASSWORD = "pass&word+%41"
TAKEN, REFUSED, LATER, DOUBT = "+14560000000", "+14560000001", "+14560000002", "+14560000003"
NAMES = {TAKEN: "taken", REFUSED: "refused", LATER: "later", DOUBT: "doubt"}


def make_variables(url: str, **variables: str) -> dict[str, str]:
    """Return an environment. The names of the variables lack their prefix. An empty value removes a variable."""
    given = {"URL": url, "USERNAME": "phonify", "PASSWORD": PASSWORD, "CALLBACK_SECRET": CALLBACK_SECRET, **variables}
    return {
        "PHONIFY_PUBLIC_URL": PUBLIC_URL,
        **{f"PHONIFY_HTTP_{name}": value for name, value in given.items() if value},
    }


def make_gateway(receiver: Receiver, **variables: str) -> TemplateGateway:
    """Return a gateway that sends to a receiver."""
    return TemplateGateway.from_environ(make_variables(receiver.url, **variables))


def read_query(received: Received) -> dict[str, str]:
    """Return the parameters in the query of a request."""
    return {name: values[0] for name, values in parse_qs(received.line.split(" ")[1].partition("?")[2]).items()}


def read_form(received: Received) -> dict[str, str]:
    """Return the parameters in the form of a request."""
    return {name: values[0] for name, values in parse_qs(received.body.decode()).items()}


def answer_by_number(
    receiver: Receiver, find: Callable[[Received], str | None], answers: Mapping[str, tuple[int, str]]
) -> None:
    """Let a receiver answer by the number that a request has. It closes the connection if there is no answer."""

    def act(client: object, received: Received) -> None:
        number = "+" + (find(received) or "").lstrip("+")
        if number in NAMES and NAMES[number] in answers:
            code, text = answers[NAMES[number]]
            status(code, body=text)(client, received)  # type: ignore[arg-type]

    receiver.act = act


def outcome_of(gateway: Gateway, body: str = "Hello", to: str = TAKEN) -> Outcome:
    """Return the outcome of one message."""
    ((_, outcome),) = send(gateway, make_message(to, body=body))
    return outcome
