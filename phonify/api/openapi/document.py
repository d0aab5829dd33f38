"""This module builds the OpenAPI 3.1 document from the routes, the marshmallow schemas and the views."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Flask
from marshmallow import Schema
from marshmallow.fields import Float, Integer
from werkzeug.routing import Rule

from ...errors import ERROR_TYPES, Fault
from ...http.errors import STATUSES
from ...request_id import HEADER as REQUEST_ID
from ...schemas.description import DESCRIPTIONS, Description, View
from ...schemas.fields import NumericArgument, WholeArgument, list_error_types
from ...schemas.objects import ErrorSchema, MessageSchema
from ...schemas.requests import BodySchema
from ...services import Services
from .texts import (
    ALWAYS,
    HEADERS,
    HEADERS_BY_STATUS,
    PARTS,
    RATE_HEADERS,
    REQUEST_ID_PARAMETER,
    TAGS,
    TEXT,
    Json,
)
from .webhooks import describe_webhooks

_METHODS = {"GET", "POST", "PUT", "DELETE"}
_WITH_BODY = {"POST", "PUT"}
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


def build_document(app: Flask) -> Json:
    """Return the OpenAPI document of an app."""
    return _Builder(app).build()


def list_operations(app: Flask) -> Iterator[tuple[Rule, str, View]]:
    """Yield each route of the API with its method and its view, in the order of registration.

    `sandbox/downloads.py` serves files. These files are not part of the API.
    """
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith(("/v1/", "/sandbox/")) and not rule.endpoint.startswith("downloads."):
            for method in sorted((rule.methods or set()) & _METHODS):
                yield rule, method, app.view_functions[rule.endpoint]


def _name_schema(schema: Any) -> str:
    kind = schema if isinstance(schema, type) else type(schema)
    return kind.__name__.removesuffix("Schema")


class _Argument(NamedTuple):
    """An argument of an operation. `place` is `query`, `header` or `body`."""

    name: str
    place: str
    required: bool
    schema: Json


class _Builder:
    """Builds the document step by step."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        plugin = MarshmallowPlugin(schema_name_resolver=_name_schema)
        self._spec = APISpec(
            title="Phonify",
            version=app.config["VERSION"],
            openapi_version="3.1.1",
            plugins=[plugin],
            info={"description": TEXT, "license": {"name": "MIT", "identifier": "MIT"}},
            servers=[{"url": "/", "description": "This server."}],
            security=[{"basic": []}, {"api_key": []}],
        )
        converter: Any = plugin.converter  # apispec has no type hints for it
        converter.map_to_openapi_type(NumericArgument, Float)
        converter.map_to_openapi_type(WholeArgument, Integer)
        self._converter = converter

    def build(self) -> Json:
        """Return the document."""
        components = self._spec.components
        components.security_scheme(
            "basic", {"type": "http", "scheme": "basic", "description": "The API key is the username."}
        )
        components.security_scheme("api_key", {"type": "apiKey", "in": "query", "name": "api_key"})
        for name, header in HEADERS.items():
            components.header(name, header)
        for error in ERROR_TYPES.values():
            shown = {"errors": [Fault(error.type).to_dict()]}
            components.example(error.type, {"summary": error.title, "value": shown})
        self._converter.resolve_nested_schema(ErrorSchema)
        used = set()
        for rule, method, view in list_operations(self._app):
            tag = rule.endpoint.split(".")[-2]
            used.add(tag)
            path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
            self._spec.path(path, operations={method.lower(): self._describe(rule, method, view, tag)})
        for tag, text in TAGS.items():
            if tag in used:
                self._spec.tag({"name": tag, "description": text})
        document: Json = self._spec.to_dict()
        document["webhooks"] = describe_webhooks(self._converter.resolve_nested_schema(MessageSchema))
        for schema in document["components"]["schemas"].values():
            schema.pop("additionalProperties", None)  # later versions may add attributes
            for field in schema.get("properties", {}).values():
                field.pop("readOnly", None)  # a webhook is a request, and it has these fields
        plain: Json = json.loads(json.dumps(document))
        return plain

    def _describe(self, rule: Rule, method: str, view: View, tag: str) -> Json:
        description = DESCRIPTIONS[view]
        summary, _, _ = (view.__doc__ or "").partition("\n")
        arguments = list(self._list_arguments(description.arguments, method))
        parameters = _describe_parameters(rule, arguments, description)
        operation: Json = {
            "operationId": view.__name__,
            "tags": [tag],
            "summary": summary.rstrip("."),
            "responses": self._list_responses(rule, description),
        }
        if any(argument.place == "body" for argument in arguments):
            operation["requestBody"] = self._describe_body(arguments, description)
            # If an operation has no optional parameter, openapi-python-client makes a broken module: Python can't
            # import it.
            parameters.append(REQUEST_ID_PARAMETER)
        if description.public:
            operation["security"] = []
        return {**operation, **_unless_empty(description=description.text, parameters=parameters)}

    def _list_arguments(self, kind: type[Schema], method: str) -> Iterator[_Argument]:
        services: Services = self._app.extensions["phonify"]
        schema = kind(max_body=services.settings.max_body) if issubclass(kind, BodySchema) else kind()
        for field_name, field in schema.fields.items():
            name = field.data_key or field_name
            place = "header" if "-" in name else "body" if method in _WITH_BODY else "query"
            shown = self._converter.field2property(field)
            if place == "header":
                shown["type"] = "string"  # marshmallow allows None for a missing header
            yield _Argument(name, place, field.required, shown)

    def _describe_body(self, arguments: Sequence[_Argument], description: Description) -> Json:
        in_body = [argument for argument in arguments if argument.place == "body"]
        required = [argument.name for argument in in_body if argument.required]
        form: Json = {"type": "object", "properties": {argument.name: argument.schema for argument in in_body}}
        # In JSON, null means that the argument is not given. A form can't contain null.
        nullable = {one.name: one.schema if one.required else _or_null(one.schema) for one in in_body}
        loose: Json = {"type": "object", "properties": nullable}
        if required:
            form["required"] = loose["required"] = required
        if description.at_least_one:
            # With "anyOf", generated clients would have one class for each argument.
            form["minProperties"] = loose["minProperties"] = 1
        name = _name_schema(description.arguments)
        self._spec.components.schema(name, form)
        self._spec.components.schema(f"{name}Json", loose)
        examples = {
            example.name: {"value": dict(example.arguments)} for example in description.examples if example.arguments
        }
        media_types = {"application/json": f"{name}Json", **dict.fromkeys(_FORMS, name)}
        content = {
            media_type: {"schema": {"$ref": f"#/components/schemas/{schema}"}, **_unless_empty(examples=examples)}
            for media_type, schema in media_types.items()
        }
        return {"required": bool(required) or description.at_least_one, "content": content}

    def _list_responses(self, rule: Rule, description: Description) -> Json:
        types = _list_error_types(rule, description)
        statuses = sorted({*description.answers, *types})
        return {str(status): self._describe_response(status, description, types.get(status, [])) for status in statuses}

    def _describe_response(self, status: int, description: Description, types: list[str]) -> Json:
        parts: list[Json] = []
        if status in description.answers:
            parts.append(self._converter.resolve_nested_schema(description.answers[status]))
        if types:
            parts.append(_describe_errors(types))
        examples: Json = {
            example.name: {"value": dict(example.answer)}
            for example in description.examples
            if example.status == status
        }
        # An example of an error contains only `errors`. Some answers also have other attributes, such as `messages`.
        # An example of an error is not valid for such an answer.
        if status not in description.answers:
            examples |= {type_: {"$ref": f"#/components/examples/{type_}"} for type_ in types}
        limited = not description.public and status != 401
        headers = [REQUEST_ID, *HEADERS_BY_STATUS.get(status, ()), *(RATE_HEADERS if limited else ())]
        content: Json = {
            "schema": parts[0] if len(parts) == 1 else {"allOf": parts},
            **_unless_empty(examples=examples),
        }
        response: Json = {
            "description": _describe_status(status, types),
            "content": {"application/json": content},
            "headers": {name: {"$ref": f"#/components/headers/{name}"} for name in headers},
        }
        if status == 201 and description.links:
            response["links"] = {
                name: {"operationId": name, "parameters": dict(parameters)}
                for name, parameters in description.links.items()
            }
        return response


def _describe_parameters(rule: Rule, arguments: Iterable[_Argument], description: Description) -> list[Json]:
    parameters: list[Json] = []
    for part in sorted(rule.arguments):
        examples = {
            example.name: {"value": example.path[part]} for example in description.examples if part in example.path
        }
        parameters.append(
            {"in": "path", "name": part, "required": True, **PARTS[part][0], **_unless_empty(examples=examples)}
        )
    for name, place, required, schema in arguments:
        if place == "body":
            continue
        examples = {
            example.name: {"value": example.arguments[name]}
            for example in description.examples
            if name in example.arguments
        }
        parameters.append(
            {
                "in": place,
                "name": name,
                "required": required,
                "description": schema.pop("description", ""),
                "schema": schema,
                **_unless_empty(examples=examples),
            }
        )
    return parameters


def _unless_empty(**members: Any) -> Json:
    return {name: value for name, value in members.items() if value}


def _or_null(schema: Json) -> Json:
    if "anyOf" in schema:
        return {**schema, "anyOf": [*schema["anyOf"], {"type": "null"}]}
    return {**schema, "type": [schema["type"], "null"]}


def _list_error_types(rule: Rule, description: Description) -> dict[int, list[str]]:
    """Group the error types of an operation by HTTP status. They have the same order as in `errors/table.py`."""
    found = {"internal_error"} if description.public else {*ALWAYS, *description.errors}
    for part in rule.arguments:
        found |= set(PARTS[part][1])
    for field in description.arguments().fields.values():
        found |= list_error_types(field)
    if "invalid_idempotency_key" in found:
        found.add("idempotency_key_reused")
    types: dict[int, list[str]] = {}
    for error in ERROR_TYPES.values():
        if error.type in found:
            types.setdefault(STATUSES[error.kind], []).append(error.type)
    return types


def _describe_errors(types: list[str]) -> Json:
    error = {
        "allOf": [{"$ref": "#/components/schemas/Error"}, {"properties": {"type": {"type": "string", "enum": types}}}]
    }
    return {
        "type": "object",
        "required": ["errors"],
        "properties": {"errors": {"type": "array", "minItems": 1, "items": error}},
    }


def _describe_status(status: int, types: list[str]) -> str:
    phrase = (
        "The request is valid, but Phonify refused the request or a part of it"
        if status == 402
        else HTTPStatus(status).phrase
    )
    return f"{phrase}: {', '.join(f'`{type_}`' for type_ in types)}." if types else f"{phrase}."
