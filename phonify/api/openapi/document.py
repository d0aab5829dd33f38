"""The OpenAPI 3.1 document, built from the routes, the marshmallow schemas and the descriptions beside the views."""

import json
import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Flask
from marshmallow import Schema
from marshmallow.fields import Field, Float, Integer
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

    The files that `sandbox/downloads.py` serves are not part of the API.
    """
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith(("/v1/", "/sandbox/")) and not rule.endpoint.startswith("downloads."):
            for method in sorted((rule.methods or set()) & _METHODS):
                yield rule, method, app.view_functions[rule.endpoint]


def _name_schema(schema: Any) -> str:
    kind = schema if isinstance(schema, type) else type(schema)
    return kind.__name__.removesuffix("Schema")


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
        converter: Any = plugin.converter  # apispec does not type it
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
                field.pop("readOnly", None)  # a webhook is a request with such attributes
        plain: Json = json.loads(json.dumps(document))
        return plain

    def _describe(self, rule: Rule, method: str, view: View, tag: str) -> Json:
        description = DESCRIPTIONS[view]
        summary, _, _ = (view.__doc__ or "").partition("\n")
        operation: Json = {
            "operationId": view.__name__,
            "tags": [tag],
            "summary": summary.rstrip("."),
            "description": description.text,
            "parameters": self._list_parameters(rule, method, description),
            "responses": self._list_responses(rule, description),
        }
        if method in _WITH_BODY and description.arguments is not None:
            operation["requestBody"] = self._describe_body(description)
            # Without an optional parameter, openapi-python-client makes a module that can't be imported.
            operation["parameters"].append(REQUEST_ID_PARAMETER)
        if description.public:
            operation["security"] = []
        return {name: value for name, value in operation.items() if value not in ("", []) or name == "security"}

    def _list_parameters(self, rule: Rule, method: str, description: Description) -> list[Json]:
        parameters = []
        for part in sorted(rule.arguments):
            examples = {
                example.name: {"value": example.path[part]} for example in description.examples if part in example.path
            }
            parameters.append(
                {"in": "path", "name": part, "required": True, **PARTS[part][0], **_unless_empty(examples=examples)}
            )
        for name, field, schema in self._list_arguments(description.arguments):
            in_header = _is_header(field)
            if not in_header and method in _WITH_BODY:
                continue
            text = schema.pop("description", "")
            examples = {
                example.name: {"value": example.arguments[name]}
                for example in description.examples
                if name in example.arguments
            }
            parameters.append(
                {
                    "in": "header" if in_header else "query",
                    "name": name,
                    "required": field.required,
                    "description": text,
                    "schema": schema,
                    **_unless_empty(examples=examples),
                }
            )
        return parameters

    def _list_arguments(self, arguments: type[Schema] | None) -> Iterator[tuple[str, Field[Any], Json]]:
        if arguments is None:
            return
        for name, field in self._make_schema(arguments).fields.items():
            schema = self._converter.field2property(field)
            if field.allow_none:  # a header; its value is None if it was not sent
                schema["type"] = "string"
            yield field.data_key or name, field, schema

    def _make_schema(self, arguments: type[Schema]) -> Schema:
        services: Services = self._app.extensions["phonify"]
        if issubclass(arguments, BodySchema):
            return arguments(max_body=services.settings.max_body)
        return arguments()

    def _describe_body(self, description: Description) -> Json:
        arguments = description.arguments
        fields = [found for found in self._list_arguments(arguments) if not _is_header(found[1])]
        required = [name for name, field, _ in fields if field.required]
        form: Json = {"type": "object", "properties": {name: schema for name, _, schema in fields}}
        # In JSON, null means that the argument is not given. A form has no null.
        nullable = {name: schema if field.required else _or_null(schema) for name, field, schema in fields}
        loose: Json = {"type": "object", "properties": nullable}
        if required:
            form["required"] = loose["required"] = required
        if description.at_least_one:
            # With "anyOf", generated clients would have one class for each argument.
            form["minProperties"] = loose["minProperties"] = 1
        name = _name_schema(arguments)
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
        examples: Json = {example.name: {"value": dict(example.answer)} for example in description.examples_of(status)}
        if status not in description.answers:  # else an answer without its object would not match the schema
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
            **_unless_empty(headers={name: {"$ref": f"#/components/headers/{name}"} for name in headers}),
        }
        if status == 201:
            response |= _unless_empty(
                links={
                    name: {"operationId": name, "parameters": dict(parameters)}
                    for name, parameters in description.links.items()
                }
            )
        return response


def _is_header(field: Field[Any]) -> bool:
    return field.data_key is not None and "-" in field.data_key


def _unless_empty(**members: Any) -> Json:
    return {name: value for name, value in members.items() if value}


def _or_null(schema: Json) -> Json:
    if "anyOf" in schema:
        return {**schema, "anyOf": [*schema["anyOf"], {"type": "null"}]}
    return {**schema, "type": [schema["type"], "null"]}


def _list_error_types(rule: Rule, description: Description) -> dict[int, list[str]]:
    """Return the error types of an operation by HTTP status, in the order of `errors/table.py`."""
    found = {"internal_error"} if description.public else {*ALWAYS, *description.errors}
    for part in rule.arguments:
        found |= set(PARTS[part][1])
    if description.arguments is not None:
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
    phrase = "The request is valid but did not complete as expected" if status == 402 else HTTPStatus(status).phrase
    return f"{phrase}: {', '.join(f'`{type_}`' for type_ in types)}." if types else f"{phrase}."
