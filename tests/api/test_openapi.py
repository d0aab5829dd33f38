"""Tests of the API's description. Its examples and errors must match the code. See also described.py."""

import json
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator

from phonify.api.openapi.document import list_operations
from phonify.errors import ERROR_TYPES
from phonify.gateways import GATEWAYS
from phonify.http.errors import STATUSES
from phonify.schemas import rule_examples
from phonify.schemas.description import DESCRIPTIONS, Description, Example
from phonify.schemas.examples import MESSAGE_ID
from phonify.schemas.objects import MessageSchema
from phonify.schemas.rule_examples import RULE_ID
from phonify.schemas.sandbox_examples import GET_LAB, RUN_ID
from phonify.services import Services
from phonify.storage import labs as lab_store
from phonify.storage.records import LabRun
from tests.support.app import ROOT, ApiClient
from tests.support.described import get_description
from tests.support.fake_gateway import FakeGateway
from tests.support.twilio import TwilioApi

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"
ID = re.compile(rf"{UUID}|(?:phk|whsec)_[\w+/-]{{32}}|AC[0-9a-f]{{32}}|\b[0-9a-f]{{32}}\b")
SEND = {"to": "+14560000000", "body": "Your Acme code is 482193"}


@pytest.fixture
def app(make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Flask:
    """An app that can release messages, except in tests of the clock. A server that can release has the real time."""
    if "_clock" in request.node.name:
        return make_app()
    monkeypatch.setitem(GATEWAYS, "gateway", FakeGateway)
    return make_app(RELEASE_GATEWAY="gateway", ONLY_TO=SEND["to"])


@pytest.fixture
def document(anonymous: FlaskClient) -> dict[str, Any]:
    response = anonymous.get("/v1/openapi.json")
    assert response.status_code == 200
    return response.get_json()


def operations_of(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield path, method, operation


def test_every_error_type_is_in_the_document(document: dict[str, Any]) -> None:
    components = document["components"]
    assert components["schemas"]["Error"]["properties"]["type"]["enum"] == list(ERROR_TYPES)
    assert set(components["examples"]) == set(ERROR_TYPES)
    for error in ERROR_TYPES.values():
        (shown,) = components["examples"][error.type]["value"]["errors"]
        assert shown == {"type": error.type, "title": error.title}


def test_error_types_are_at_their_status(document: dict[str, Any]) -> None:
    for path, method, operation in operations_of(document):
        for status, response in operation["responses"].items():
            for example in response["content"]["application/json"].get("examples", {}).values():
                if reference := example.get("$ref"):
                    error = ERROR_TYPES[reference.rpartition("/")[2]]
                    assert str(STATUSES[error.kind]) == status, (path, method)


def list_examples() -> list[Any]:
    return [
        pytest.param(description, example, id=f"{view.__name__}: {example.name}")
        for view, description in DESCRIPTIONS.items()
        if view.__module__.startswith("phonify.")
        for example in description.examples
    ]


def find_keys(value: Any) -> set[str]:
    """Return the keys of all objects in a JSON value."""
    if isinstance(value, dict):
        return set(value).union(*map(find_keys, value.values()))
    return set().union(*map(find_keys, value)) if isinstance(value, list) else set()


def test_the_examples_of_the_api_show_each_field_of_a_message() -> None:
    shown = set().union(*(find_keys(param.values[1].answer) for param in list_examples()))
    later = {"receipt"}  # only a message to a special number, or one that meets a rule, gets a receipt from the stub
    assert set(MessageSchema().fields) - shown == later


@pytest.fixture
def prepared(client: FlaskClient, deliver: Callable[..., int], services: Services) -> Callable[[str], dict[str, str]]:
    """Return a function that creates the objects of an operation's examples.

    It returns a map from the example's ids to their ids.
    """

    def prepare(operation: str) -> dict[str, str]:
        if operation in ("list_runs", "get_run", "end_run"):
            run = client.post("/sandbox/runs", json={"name": "checkout, worker 3"}).get_json()["run"]
            return {RUN_ID: run["id"]}
        if operation.endswith("_webhook") or operation == "send_test_event":
            assert client.put("/v1/webhook", json={"url": "https://example.com/sms"}).status_code == 200
            return {}
        if operation == "start_lab":
            # Nothing listens there, so the lab ends at once.
            assert client.put("/v1/webhook", json={"url": "http://127.0.0.1:9/sms"}).status_code == 200
            return {}
        if operation == "get_lab":
            (example,) = GET_LAB
            shown = example.answer["lab"]
            lab = LabRun(1, shown["id"], shown["form"], shown["started_at"], shown["started_at"])
            lab = lab._replace(finished_at=shown["finished_at"], report=json.dumps(shown["report"]))
            with services.database.write() as connection:
                lab_store.put_lab(connection, lab=lab)
            return {}
        if operation.endswith(("_twilio_settings", "_clock")):
            return {}
        if operation == "list_test_problems":
            TwilioApi(client.application).refuse(To="123")
            return {}
        if operation in ("list_rules", "get_rule", "change_rule", "move_rule", "delete_rule"):
            (example,) = rule_examples.CREATE_RULE
            return {RULE_ID: client.post("/sandbox/rules", json=example.arguments).get_json()["rule"]["id"]}
        if operation in (
            "create_run",
            "create_rule",
            "load_scenario",
            "delete_rules",
            "send_message",
            "simulate_inbound",
            "check",
            "get_phone",
            "unsubscribe",
        ):
            return {}
        waits = operation in ("change_message", "cancel_message", "force_outcome")
        later = {"send_at": "2030-01-01T09:00:00Z"} if waits else {}
        message = client.post("/v1/messages", json={**SEND, **later}).get_json()["message"]
        deliver()
        return {MESSAGE_ID: message["id"]}

    return prepare


def number_ids(answer: Any) -> Any:
    """Return an answer with a number in place of each id. The numbers are the same in the example."""
    text, ids = json.dumps(answer, sort_keys=True), {}
    return json.loads(ID.sub(lambda match: ids.setdefault(match[0], f"id {len(ids)}"), text))


@pytest.mark.parametrize("form", ["json", "form", "query"])
@pytest.mark.parametrize(("description", "example"), list_examples())
def test_an_example_does_what_it_says(
    app: Flask,
    client: ApiClient,
    prepared: Callable[[str], dict[str, str]],
    description: Description,
    example: Example,
    form: str,
) -> None:
    rule, method, view = next(
        found for found in list_operations(app) if DESCRIPTIONS[found[2]].examples is description.examples
    )
    ids = prepared(view.__name__)
    path = rule.rule
    for part, value in example.path.items():
        path = path.replace(f"<{part}>", quote(ids.get(value, value)))
    if form == "query":
        sent: dict[str, Any] = {"query_string": urlencode(example.arguments, doseq=True)}
    elif form == "json":
        sent = {"json": example.arguments}
    else:
        sent = {"data": example.arguments}
    response = client.open(path, method=method, **sent)
    assert response.status_code == example.status
    answer = response.get_json()
    assert number_ids(answer) == number_ids(example.answer)
    address = re.sub(r"<(\w+)>", r"{\1}", rule.rule)
    get_description(app).check(address, method, example.status, answer)
    get_description(app).check(address, method, example.status, example.answer)


def test_every_operation_but_this_one_has_an_example(app: Flask) -> None:
    for rule, _, view in list_operations(app):
        assert DESCRIPTIONS[view].examples or rule.rule == "/v1/openapi.json", rule.rule


def read_requirements(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]


def test_the_requirements_are_the_same_for_pip_and_for_the_package() -> None:
    project = tomllib.loads(ROOT.joinpath("pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = [*project["dependencies"], *project["optional-dependencies"]["pytest"]]
    assert sorted(declared) == sorted(read_requirements(ROOT / "requirements.txt"))


def test_every_example_matches_its_schema(document: dict[str, Any]) -> None:
    components = document["components"]
    for path, method, operation in operations_of(document):
        answers = operation["responses"].values()
        for content in [operation.get("requestBody", {}), *answers]:
            for media_type in content.get("content", {}).values():
                validator = Draft202012Validator({**media_type["schema"], "components": components})
                for name, example in media_type.get("examples", {}).items():
                    shown = components["examples"][name] if "$ref" in example else example
                    assert list(validator.iter_errors(shown["value"])) == [], (path, method, name)


def test_a_request_is_an_object_with_plain_properties(document: dict[str, Any]) -> None:
    for path, method, operation in operations_of(document):
        content = operation.get("requestBody", {}).get("content", {})
        assert not content or next(iter(content)) == "application/json", (path, method)
        for media_type in content.values():
            schema = document["components"]["schemas"][media_type["schema"]["$ref"].rpartition("/")[2]]
            assert schema.keys() <= {"type", "properties", "required", "minProperties"}, (path, method)
