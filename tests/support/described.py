"""The comparison of answers with the API's description. Test clients compare every answer."""

import json
from typing import Any

from flask import Flask
from jsonschema import Draft202012Validator
from werkzeug.exceptions import HTTPException

from phonify.api.openapi.document import build_document

_ALIASES = {"HEAD": "GET", "DESTROY": "DELETE"}
_LONG = 20_000  # bytes; longer answers are not compared


def close(schema: Any) -> Any:
    """Return the schemas of a document. They allow no unknown attributes."""
    if isinstance(schema, dict):
        closed = {name: close(part) for name, part in schema.items()}
        return {**closed, "additionalProperties": False} if "properties" in schema else closed
    return [close(part) for part in schema] if isinstance(schema, list) else schema


class Described:
    """The description of an app, in a form for comparing."""

    def __init__(self, app: Flask) -> None:
        self.document = build_document(app)
        self.schemas = close(self.document["components"]["schemas"])
        self.validators: dict[tuple[str, str, int], Draft202012Validator] = {}

    def find_responses(self, path: str, method: str) -> dict[str, Any]:
        return self.document["paths"][path][method.lower()]["responses"]

    def check(self, path: str, method: str, status: int, answer: Any) -> None:
        """Fail if an answer of an operation does not match the description."""
        responses = self.find_responses(path, method)
        assert str(status) in responses, f"{method} {path}: {status} is not described"
        place = (path, method, status)
        if place not in self.validators:
            schema = responses[str(status)]["content"]["application/json"]["schema"]
            components = {"components": {"schemas": self.schemas}}
            self.validators[place] = Draft202012Validator({**schema, **components})
        self.validators[place].validate(answer)


_known: dict[frozenset[str], Described] = {}


def get_description(app: Flask) -> Described:
    """Return the description of an app. Apps with the same views share one description."""
    endpoints = frozenset(app.view_functions)
    if endpoints not in _known:
        _known[endpoints] = Described(app)
    return _known[endpoints]


def check_described(app: Flask, method: str, path: str, response: Any) -> None:
    """Fail if an answer under /v1 or /sandbox does not match the description."""
    if not path.startswith(("/v1/", "/sandbox/")):
        return
    method = _ALIASES.get(method, method)
    try:
        rule, _ = app.url_map.bind("").match(path, method, return_rule=True)
    except HTTPException:
        return  # there is nothing at this address
    if rule.endpoint.startswith("downloads."):
        return  # a file
    data = response.get_data()
    if not data or len(data) > _LONG:
        return  # of a HEAD, or 304
    address = rule.rule.replace("<", "{").replace(">", "}")
    get_description(app).check(address, method, response.status_code, json.loads(data))
