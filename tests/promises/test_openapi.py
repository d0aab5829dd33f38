"""Tests that the API's description is valid and complete. See also described.py."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import OpenAPIV31SpecValidator

from phonify import __version__
from tests.support.app import ROOT
from tests.support.fake_gateway import OnceGateway

FILES = {
    "/sandbox/phonify_client.py",
    "/sandbox/phonify.mjs",
    "/sandbox/phonify.d.mts",
}  # not part of the API


@pytest.fixture
def document(anonymous: FlaskClient) -> dict[str, Any]:
    response = anonymous.get("/v1/openapi.json")
    assert response.status_code == 200
    return response.get_json()


def operations_of(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield path, method, operation


def test_the_document_is_valid_openapi_3_1(document: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(document).validate()
    assert document["openapi"].startswith("3.1.")


def test_the_version_is_that_of_the_package(document: dict[str, Any]) -> None:
    assert document["info"]["version"] == __version__


def test_the_document_needs_no_key_and_every_other_operation_does(
    document: dict[str, Any], anonymous: FlaskClient
) -> None:
    for path, method, operation in operations_of(document):
        address = re.sub(r"\{\w+\}", "x", path)
        status = anonymous.open(address, method=method.upper()).status_code
        assert (operation.get("security") == []) == (status != 401), path
        assert path == "/v1/openapi.json" or status == 401, path


def test_the_document_is_not_sent_again_to_who_has_it(anonymous: FlaskClient) -> None:
    first = anonymous.get("/v1/openapi.json")
    assert "max-age=" in first.headers["Cache-Control"]
    again = anonymous.get("/v1/openapi.json", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    changed = anonymous.get("/v1/openapi.json", headers={"If-None-Match": '"another"'})
    assert changed.status_code == 200


def test_every_route_is_described_and_nothing_else(app: Flask, document: dict[str, Any]) -> None:
    routes = {
        (re.sub(r"<(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith(("/v1", "/sandbox")) and rule.rule not in FILES
        for method in rule.methods - {"HEAD", "OPTIONS", "DESTROY"}
    }
    assert {(path, method) for path, method, _ in operations_of(document)} == routes


def test_a_gateway_that_really_sends_has_no_sandbox_in_its_description(make_app: Callable[..., Flask]) -> None:
    document = make_app(OnceGateway()).test_client().get("/v1/openapi.json").get_json()
    assert not any(path.startswith("/sandbox") for path in document["paths"])
    assert {"sandbox", "test_messages", "test_runs"}.isdisjoint(tag["name"] for tag in document["tags"])


def test_every_operation_says_what_it_takes_and_answers(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations_of(document)]
    assert len(set(names)) == len(names)
    for path, method, operation in operations_of(document):
        assert operation["summary"], (path, method)
        assert any(status.startswith("2") for status in operation["responses"]), (path, method)
        for parameter in operation.get("parameters", []):
            assert parameter["description"], (path, parameter["name"])
        if "requestBody" in operation:
            for media_type in operation["requestBody"]["content"].values():
                schema = document["components"]["schemas"][media_type["schema"]["$ref"].rpartition("/")[2]]
                assert all(field["description"] for field in schema["properties"].values()), path


def test_arguments_come_as_json_and_as_two_kinds_of_form(document: dict[str, Any]) -> None:
    bodies = [operation["requestBody"] for _, _, operation in operations_of(document) if "requestBody" in operation]
    assert bodies
    for body in bodies:
        kinds = {"application/json", "application/x-www-form-urlencoded", "multipart/form-data"}
        assert set(body["content"]) == kinds


def test_the_guide_names_every_operation(document: dict[str, Any]) -> None:
    guide = ROOT.joinpath("phonify/docs/api.md").read_text(encoding="utf-8")
    for path, method, _ in operations_of(document):
        shown = path.replace("{message_id}", "<id>").replace("{msisdn}", "<msisdn>").replace("{run_id}", "<id>")
        shown = shown.replace("{rule_id}", "<id>")
        assert f"`{method.upper()} {shown}`" in guide


def test_the_method_destroy_is_mentioned(document: dict[str, Any]) -> None:
    assert "DESTROY" in document["info"]["description"]
    assert "DESTROY" in document["paths"]["/v1/messages/{message_id}"]["delete"]["description"]


def test_the_events_of_webhooks_are_described_with_an_example(app: Flask, document: dict[str, Any]) -> None:
    received_and_sent = {"message.received", "message.sent", "message.error"}
    assert set(document["webhooks"]) == {*received_and_sent, "message.delivered", "message.undelivered"}
