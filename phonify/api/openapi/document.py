"""The API's description, OpenAPI 3.1: made of the routes, the marshmallow schemas and what views say of themselves.

It is made once, when it is first asked for.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Blueprint, Flask, Response, current_app, request
from marshmallow import Schema
from marshmallow.fields import Field, Float, Integer
from werkzeug.routing import Rule

from ...errors import ERROR_TYPES, Fault
from ...http.errors import STATUSES
from ...request_id import HEADER as REQUEST_ID
from ...schemas.answers import DocumentAnswer
from ...schemas.description import DESCRIPTIONS, Description, View, describe
from ...schemas.examples import MESSAGE
from ...schemas.objects import ErrorSchema, MessageSchema
from ...schemas.requests import MESSAGE_ID, MSISDN, NumericArgument, WholeArgument, list_error_types

Json = dict[str, Any]

bp = Blueprint("openapi", __name__, url_prefix="/v1")

_EXTENSION = "phonify.openapi"
_MAX_AGE = 60  # seconds
_METHODS = {"GET", "POST", "PUT", "DELETE"}
_WITH_BODY = {"POST", "PUT"}
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")

# What may happen to any request that needs a key, beside what its view says.
_ALWAYS = (
    "bad_request",
    "malformed_json",
    "json_not_object",
    "malformed_form",
    "unauthorized",
    "request_too_large",
    "unsupported_media_type",
    "rate_limited",
    "internal_error",
    "store_unavailable",
)
# The parts of addresses, and the error types that they bring.
_PARTS: dict[str, tuple[Json, tuple[str, ...]]] = {
    "message_id": ({"description": "The message's `id`.", "schema": MESSAGE_ID}, ("not_found",)),
    "msisdn": (
        {"description": "A number in E.164 with the plus sign.", "schema": MSISDN},
        ("invalid_msisdn", "not_found"),
    ),
}
_TAGS = {
    "messages": "Send, find, change and cancel messages. Those sent and those received are the same object.",
    "phones": "What is known of a number, and whom the account has exchanged messages with.",
    "subscriptions": "Which phones the account may write to. A phone opts out with STOP and in again with START.",
    "sandbox": "Only with a gateway that sends nothing anywhere, such as the stub; elsewhere these are 404.",
    "openapi": "This description.",
}
_HEADERS: Json = {
    "Location": {"description": "The address of the message, where there is only one.", "schema": {"type": "string"}},
    "Idempotent-Replayed": {
        "description": "`true` where this is the answer to an earlier request with the same key.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Retry-After": {
        "description": "Seconds after which to try again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 0},
    },
    "WWW-Authenticate": {"description": "`Basic`.", "required": True, "schema": {"type": "string"}},
    REQUEST_ID: {
        "description": "The id of the request: the one it had in this header, else a new one. Logs have it, too.",
        "required": True,
        "schema": {"type": "string"},
    },
    "RateLimit": {
        "description": 'What is left of the account\'s requests, where they are limited: `"default";r=58;t=30`.',
        "schema": {"type": "string"},
    },
    "RateLimit-Policy": {
        "description": 'How many requests an account has, where they are limited: `"default";q=60;w=60`.',
        "schema": {"type": "string"},
    },
}
_RATE_HEADERS = ("RateLimit", "RateLimit-Policy")
_HEADERS_BY_STATUS = {
    201: ("Location", "Idempotent-Replayed"),
    401: ("WWW-Authenticate",),
    402: ("Idempotent-Replayed",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}
_TEXT = """\
Send and receive text messages.

**Key.** Every request carries an API key: as the username of HTTP Basic, any password, or as the argument `api_key` in
the query string, the form or the JSON object. Where there is an `Authorization` header, it decides alone.

**Arguments** come as query string, form (urlencoded or multipart) or JSON object, whichever suits; where one is in the
query string and in the body, the body wins. Unknown arguments are ignored. JSON `null` is an argument not given. In a
query string or a form the plus sign of a number is written `%2B`; one that was not, and arrives as a space, is read as
the plus sign that it was. A slash at the end of an address makes no difference.

**Answers** are JSON, whatever happens. More attributes may come in later versions.

**Errors** are `{"errors": [{"type": "...", "title": "...", "param": "..."}]}`: `type` never changes, `title` is for
people, `param` names the argument. All faults of a request are reported together. 402 means that the request was valid
but did not complete as expected.

**DESTROY.** Wherever `DELETE` is described, the method name `DESTROY` is accepted, too.

**Sending again.** With the header `Idempotency-Key`, a request to send can be repeated: the same key with the same
arguments gives the first answer again for 24 hours.
"""


@bp.get("/openapi.json")
@describe(
    public=True,
    answers={200: DocumentAnswer},
    examples=(),
    text="Made from the code; the pages under `/docs` are made from it in turn.",
)
def show_document() -> Response:
    """Retrieve this description, OpenAPI 3.1."""
    text = json.dumps(get_document(), ensure_ascii=False, separators=(",", ":"))
    etag = f'"{hashlib.sha256(text.encode()).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": f"public, max-age={_MAX_AGE}"}
    if request.if_none_match.contains_weak(etag.strip('"')):
        return Response(status=304, headers=headers)
    return current_app.response_class(text, mimetype="application/json", headers=headers)


def get_document() -> Json:
    """Return the current app's document."""
    document: Json | None = current_app.extensions.get(_EXTENSION)
    if document is None:
        document = current_app.extensions[_EXTENSION] = build_document(current_app)
    return document


def build_document(app: Flask) -> Json:
    """Return the document of an app."""
    return _Builder(app).build()


def list_operations(app: Flask) -> Iterator[tuple[Rule, str, View]]:
    """Yield the routes of the API with method and view, in the order of their registration."""
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith(("/v1/", "/sandbox/")):
            for method in sorted((rule.methods or set()) & _METHODS):
                yield rule, method, app.view_functions[rule.endpoint]


def _name_schema(schema: Any) -> str:
    kind = schema if isinstance(schema, type) else type(schema)
    return kind.__name__.removesuffix("Schema")


class _Builder:
    """What is on its way to a document."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        plugin = MarshmallowPlugin(schema_name_resolver=_name_schema)
        self._spec = APISpec(
            title="Phonify",
            version=app.config["VERSION"],
            openapi_version="3.1.1",
            plugins=[plugin],
            info={"description": _TEXT},
            servers=[{"url": "/", "description": "This server."}],
            security=[{"basic": []}, {"api_key": []}],
        )
        converter: Any = plugin.converter  # which is not typed
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
        for name, header in _HEADERS.items():
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
        for tag, text in _TAGS.items():
            if tag in used:
                self._spec.tag({"name": tag, "description": text})
        document: Json = self._spec.to_dict()
        document["webhooks"] = self._describe_webhooks()
        for schema in document["components"]["schemas"].values():
            schema.pop("additionalProperties", None)  # there may be more, one day
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
                {"in": "path", "name": part, "required": True, **_PARTS[part][0], **_unless_empty(examples=examples)}
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
        for name, field in arguments().fields.items():
            schema = self._converter.field2property(field)
            if field.allow_none:  # a header that was not sent
                schema["type"] = "string"
            yield field.data_key or name, field, schema

    def _describe_body(self, description: Description) -> Json:
        arguments = description.arguments
        fields = [found for found in self._list_arguments(arguments) if not _is_header(found[1])]
        required = [name for name, field, _ in fields if field.required]
        form: Json = {"type": "object", "properties": {name: schema for name, _, schema in fields}}
        # A JSON null is an argument not given; forms have no such thing.
        nullable = {name: schema if field.required else _or_null(schema) for name, field, schema in fields}
        loose: Json = {"type": "object", "properties": nullable}
        if required:
            form["required"] = loose["required"] = required
        if description.at_least_one:
            form["anyOf"] = [{"required": [name]} for name, _, _ in fields]
            loose["anyOf"] = [
                {"required": [name], "properties": {name: {"not": {"type": "null"}}}} for name, _, _ in fields
            ]
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
        return {"required": True, "content": content}

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
        examples |= {type_: {"$ref": f"#/components/examples/{type_}"} for type_ in types}
        limited = not description.public and status != 401
        headers = [REQUEST_ID, *_HEADERS_BY_STATUS.get(status, ()), *(_RATE_HEADERS if limited else ())]
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

    def _describe_webhooks(self) -> Json:
        message = self._converter.resolve_nested_schema(MessageSchema)
        return {
            event: {"post": _describe_event(event, text, message)}
            for event, text in {
                "message.received": "A phone has written to the account",
                "message.sent": "The gateway has taken a message",
                "message.error": "A message has failed; its `errors` say why",
            }.items()
        }


def _is_header(field: Field[Any]) -> bool:
    return field.data_key is not None and "-" in field.data_key


def _unless_empty(**members: Any) -> Json:
    return {name: value for name, value in members.items() if value}


def _or_null(schema: Json) -> Json:
    if "anyOf" in schema:
        return {**schema, "anyOf": [*schema["anyOf"], {"type": "null"}]}
    return {**schema, "type": [schema["type"], "null"]}


def _list_error_types(rule: Rule, description: Description) -> dict[int, list[str]]:
    """Return the error types of an operation by status, in the order of the table."""
    found = {"internal_error"} if description.public else {*_ALWAYS, *description.errors}
    for part in rule.arguments:
        found |= set(_PARTS[part][1])
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
    error = {"allOf": [{"$ref": "#/components/schemas/Error"}, {"properties": {"type": {"enum": types}}}]}
    return {
        "type": "object",
        "required": ["errors"],
        "properties": {"errors": {"type": "array", "minItems": 1, "items": error}},
    }


def _describe_status(status: int, types: list[str]) -> str:
    phrase = "Valid, but did not complete as expected" if status == 402 else HTTPStatus(status).phrase
    return f"{phrase}: {', '.join(f'`{type_}`' for type_ in types)}." if types else f"{phrase}."


def _describe_event(event: str, text: str, message: Json) -> Json:
    headers = {
        "webhook-id": "The id of the event; the same at each attempt.",
        "webhook-timestamp": "When it was posted: Unix seconds.",
        "webhook-signature": "As Standard Webhooks has it: `v1,` and an HMAC-SHA256 of id, timestamp and body.",
    }
    shown = {
        "message.received": {**MESSAGE, "direction": "inbound"},
        "message.sent": {**MESSAGE, "state": "sent"},
        "message.error": {**MESSAGE, "state": "error", "errors": [Fault("cannot_receive_sms").to_dict()]},
    }[event]
    payload = {
        "type": "object",
        "required": ["type", "timestamp", "data"],
        "properties": {
            "type": {"const": event},
            "timestamp": {"type": "string", "format": "date-time"},
            "data": {"type": "object", "required": ["message"], "properties": {"message": message}},
        },
    }
    example = {"type": event, "timestamp": MESSAGE["created_at"], "data": {"message": shown}}
    return {
        "operationId": f"hear_{event.replace('.', '_')}",
        "summary": text,
        "parameters": [
            {"in": "header", "name": name, "required": True, "description": meaning, "schema": {"type": "string"}}
            for name, meaning in headers.items()
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": payload, "example": example}}},
        "responses": {
            "2XX": {"description": "Delivered: it is not posted again."},
            "default": {"description": "It is posted again, with growing delays, for about a day."},
        },
    }
