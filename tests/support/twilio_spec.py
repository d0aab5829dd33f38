"""Twilio's published description of its API: answers are held against it. It lies beside the checkout."""

import json
import os
import re
from functools import cache
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.support.app import ROOT

FILE = ROOT.parent / "shared" / "specs" / "twilio_api_v2010.json"
needs_spec = pytest.mark.skipif(
    not FILE.exists() and "CI" not in os.environ, reason=f"there is no description at {FILE}"
)


def make_nullable(schema: Any) -> Any:
    """Return a schema of OpenAPI 3.0 in the words of JSON Schema: `nullable` becomes a type."""
    if isinstance(schema, list):
        return [make_nullable(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    # Only names of properties may be anything; what is left out here are facts for people.
    made = {name: make_nullable(part) for name, part in schema.items() if name not in ("example", "x-twilio")}
    if made.pop("nullable", False) is True:
        return {"anyOf": [made, {"type": "null"}]}
    if "properties" in made:
        made["additionalProperties"] = False
    return made


class Spec:
    """The description, ready to be compared with."""

    def __init__(self) -> None:
        document = json.loads(FILE.read_text(encoding="utf-8"))
        self.schemas = make_nullable(document["components"]["schemas"])
        self.paths = {
            re.compile(re.sub(r"\{\w+\}", "[^/]+?", path.replace(".", r"\."))): operations
            for path, operations in document["paths"].items()
            if "/Messages" in path or path.endswith("/Accounts/{Sid}.json")
        }
        self.checked: list[tuple[str, str]] = []  # method and path

    def check(self, method: str, path: str, status: int, data: bytes) -> None:
        """Fail if an answer of 2xx is not the one that the description has."""
        if method == "OPTIONS" or not 200 <= status < 300:
            return
        (operations,) = [found for pattern, found in self.paths.items() if pattern.fullmatch(path)]
        responses = operations[method.lower()]["responses"]
        if path.endswith("/Feedback.json"):
            status = 200  # the service answers 201
        assert str(status) in responses, f"{method} {path}: {status} is not described"
        content = responses[str(status)].get("content")
        assert bool(data) == bool(content), f"{method} {path}: {data!r}"
        if content:
            (media,) = content.values()
            answer, schema = json.loads(data), make_nullable(media["schema"])
            Draft202012Validator({**schema, "components": {"schemas": self.schemas}}).validate(answer)
            self._check_all_keys(answer, schema, f"{method} {path}")
        self.checked.append((method, path))

    def _check_all_keys(self, answer: dict[str, Any], schema: dict[str, Any], where: str) -> None:
        """Fail if a key of an object or of a list's envelope is missing: no SDK expects that."""
        if "$ref" in schema:
            schema = self.schemas[schema["$ref"].rpartition("/")[2]]
        missing = schema["properties"].keys() - answer.keys()
        assert not missing, f"{where}: {missing} are missing"


@cache
def get_spec() -> Spec:
    """Return the description; it is read once."""
    return Spec()


def check_if_known(method: str, path: str, status: int, data: bytes) -> None:
    """Hold an answer against the description, if it is there."""
    if FILE.exists():
        get_spec().check(method, path, status, data)
