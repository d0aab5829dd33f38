"""The gateway `android` against a server that Prism makes of the description that the app's vendor publishes."""

import json
import os
import time
from collections.abc import Iterator
from typing import Any

import pytest

from phonify.gateways.android import AndroidGateway
from phonify.gateways.base import Later, OutboundMessage, Outcome, Refused, Taken
from phonify.outgoing.http_client import Request
from tests.gateways.contract import make_message
from tests.support.app import ROOT
from tests.support.prism import Prism, needs_npm, serving

FILE = ROOT.parent / "shared" / "specs" / "capcom6_sms_gateway.json"
EXAMPLE = "PyDmBQZZXYmyxMwED8Fzy"  # the id of messages and devices in the answers
needs_description = pytest.mark.skipif(
    not FILE.exists() and "CI" not in os.environ, reason=f"there is no description at {FILE}"
)
pytestmark = [pytest.mark.slow, needs_description, needs_npm]


def repair(schema: Any) -> None:
    """Remove contradictions from a description.

    Next to a reference to a type of texts or numbers, it says that the value is an object. So its own examples don't
    match it, and no request that names an event does.
    """
    if isinstance(schema, dict):
        if schema.get("type") == "object" and "allOf" in schema:
            del schema["type"]
        for part in schema.values():
            repair(part)
    elif isinstance(schema, list):
        for part in schema:
            repair(part)


@pytest.fixture(scope="module")
def prism(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prism]:
    document = json.loads(FILE.read_text(encoding="utf-8"))
    repair(document)
    # Otherwise the only device of the example is one that was removed.
    del document["components"]["schemas"]["smsgateway.Device"]["properties"]["deletedAt"]
    with serving(document, tmp_path_factory.mktemp("prism")) as prism:
        yield prism


class PreferringGateway(AndroidGateway):
    """A gateway that asks Prism for a certain status."""

    preferred = ""

    def build_request(self, message: OutboundMessage) -> Request:
        request = super().build_request(message)
        return request._replace(headers={**request.headers, "Prefer": f"code={self.preferred}"})


def make_gateway(prism: Prism, kind: type[AndroidGateway] = AndroidGateway, **others: str) -> AndroidGateway:
    values = {"URL": prism.url, "USERNAME": "user", "PASSWORD": "x", "DEVICE": EXAMPLE, "SIGNING_KEY": "key", **others}
    environ = {f"PHONIFY_ANDROID_{name}": value for name, value in values.items()}
    return kind.from_environ({**environ, "PHONIFY_PUBLIC_URL": "https://sms.example.org"})


def send(gateway: AndroidGateway, message: OutboundMessage) -> Outcome:
    ((_, outcome),) = gateway.send([message], time.monotonic() + 20)
    return outcome


@pytest.mark.parametrize("body", ["x", "Hej 🎉\n", "ж" * 1_600])
@pytest.mark.parametrize("sim", ["0", "3"])
def test_each_message_is_one_that_the_description_allows(prism: Prism, sim: str, body: str) -> None:
    # Prism answers with the id of the example. Only with this id is the message taken.
    message = make_message("+14560000000", body=body)._replace(id=EXAMPLE, validity=0)
    assert send(make_gateway(prism, SIM=sim), message) == Taken()
    assert prism.faults == []


def test_a_message_with_an_id_of_phonify_is_allowed_and_only_an_answer_with_this_id_takes_it(prism: Prism) -> None:
    outcome = send(make_gateway(prism), make_message("+14560000000"))
    assert isinstance(outcome, Later)
    assert outcome.reason.startswith("the answer does not come from the app")
    assert prism.faults == []


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("400", Refused),
        ("401", Later),
        ("403", Later),
        ("409", Taken),
        ("500", Later),
        ("503", Later),
    ],
)
def test_each_answer_of_the_description_has_its_outcome(prism: Prism, status: str, outcome: type[Outcome]) -> None:
    gateway = make_gateway(prism, PreferringGateway)
    assert isinstance(gateway, PreferringGateway)
    gateway.preferred = status
    found = send(gateway, make_message("+14560000000"))
    assert type(found) is outcome
    assert getattr(found, "pause", None) in (None, status in ("401", "403", "503"))
    assert prism.faults == []


def test_looking_up_probing_and_registering_are_allowed(prism: Prism) -> None:
    gateway = make_gateway(prism)
    before = len(prism.checked)
    assert gateway.look_up(make_message("+14560000000")._replace(id=EXAMPLE), ()) == []
    assert f"device {EXAMPLE} (My Device)" in gateway.probe()
    assert len(gateway.register()) == 5
    assert prism.checked[before:] == [
        f"get /messages/{EXAMPLE}",
        "get /health",
        "get /devices",
        "get /webhooks",
        *["post /webhooks"] * 4,
    ]
    assert prism.faults == []


def test_the_description_is_checked_at_all(prism: Prism) -> None:
    # Its ids have at most 36 characters.
    before = len(prism.faults)
    outcome = send(make_gateway(prism), make_message("+14560000000")._replace(id="x" * 37))
    assert isinstance(outcome, Refused)
    assert any("id" in fault for fault in prism.faults[before:])
