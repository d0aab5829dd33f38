"""Makes the content of the reference page: operations, fields, samples, texts. The source is the OpenAPI document."""

import html
import json
import re
import shlex
from collections.abc import Iterator
from typing import Any, NamedTuple

from markupsafe import Markup

Json = dict[str, Any]

_LABELS = {"date-time": "time", "message-id": "message id", "own-number": "number", "originator": "sender"}
_OBJECTS = "#/components/schemas/"
# The parts of JSON that have a colour.
_JSON_TOKEN = re.compile(
    r'(?P<name>"(?:[^"\\]|\\.)*")(?=:)|(?P<string>"(?:[^"\\]|\\.)*")|(?P<value>\b(?:true|false|null|[0-9.]+)\b)'
)
_TITLES = {
    "openapi": "OpenAPI",
    "test_messages": "Test messages",
    "test_problems": "Problems in a test",
    "test_rules": "Rules",
    "test_runs": "Test runs",
    "test_lab": "Webhook lab",
    "test_twilio": "Twilio in tests",
}
# The page shows only these objects, in this order. Other schemas describe whole answers, which contain these objects.
_SHOWN_OBJECTS = (
    "Message",
    "Number",
    "Receipt",
    "Error",
    "Phone",
    "Subscription",
    "SandboxMessage",
    *("Rule", "MetRule"),
    "NewRun",
    *("Lab", "Report", "Trial", "Finding"),
    "TwilioSettings",
    "TextCheck",
    *("Segment", "WideCharacter", "WebOtp"),
)


class Row(NamedTuple):
    """A field of an object, or an argument of an operation."""

    name: str
    type: str
    object: str | None  # the name of the object, if the value is an object or a list of objects
    required: bool
    text: str
    limits: str
    place: str  # path, query, body or header
    choices: list[str]
    several: bool


class Answer(NamedTuple):
    """One of the answers that an operation can give."""

    status: str
    text: str
    error_types: list[str]
    examples: list[tuple[str, Any]]


class Operation(NamedTuple):
    """An operation of the API."""

    id: str
    method: str
    path: str
    summary: str
    text: str
    public: bool
    arguments: list[Row]
    answers: list[Answer]
    faults: list[Answer]
    example: Json  # the names and the values of all arguments, including path parameters


class Event(NamedTuple):
    """A webhook event."""

    name: str
    summary: str
    headers: list[Row]
    example: Any


def read_document(document: Json) -> Json:
    """Return the variables for the template of the page."""
    tags = {tag["name"]: tag["description"] for tag in document["tags"]}
    operations: dict[str, list[Operation]] = {name: [] for name in tags}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            operations[operation["tags"][0]].append(_read_operation(document, path, method, operation))
    schemas = document["components"]["schemas"]
    with_key = [operation for found in operations.values() for operation in found if not operation.public]
    error_types = [{type_ for answer in operation.faults for type_ in answer.error_types} for operation in with_key]
    return {
        "common_errors": set.intersection(*error_types),
        "version": document["info"]["version"],
        "text": document["info"]["description"],
        "tags": [(name, _TITLES.get(name, name.capitalize()), text, operations[name]) for name, text in tags.items()],
        "objects": [(name, list(_read_fields(schemas[name], ""))) for name in _SHOWN_OBJECTS if name in schemas],
        "events": [_read_event(name, event["post"]) for name, event in document["webhooks"].items()],
    }


def _read_operation(document: Json, path: str, method: str, operation: Json) -> Operation:
    arguments = [_read_parameter(parameter) for parameter in operation.get("parameters", [])]
    examples: dict[str, Json] = {}  # by name
    for parameter in operation.get("parameters", []):
        for name, shown in parameter.get("examples", {}).items():
            examples.setdefault(name, {})[parameter["name"]] = shown["value"]
    if "requestBody" in operation:
        media_type = operation["requestBody"]["content"]["multipart/form-data"]
        schema = document["components"]["schemas"][media_type["schema"]["$ref"].removeprefix(_OBJECTS)]
        arguments += _read_fields(schema, "body")
        for name, shown in media_type.get("examples", {}).items():
            examples.setdefault(name, {}).update(shown["value"])
    example: Json = next(iter(examples.values()), {})
    answers = [_read_answer(status, answer) for status, answer in operation["responses"].items()]
    return Operation(
        id=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation["summary"],
        text=operation.get("description", ""),
        public=operation.get("security") == [],
        arguments=sorted(arguments, key=lambda row: (row.place == "header", row.place != "path", not row.required)),
        answers=[answer for answer in answers if answer.examples or not answer.error_types],
        faults=[answer for answer in answers if answer.error_types],
        example=example,
    )


def _read_parameter(parameter: Json) -> Row:
    schema = {"description": parameter.get("description", ""), **parameter["schema"]}
    return _read_field(parameter["name"], schema, required=parameter["required"], place=parameter["in"])


def _read_fields(schema: Json, place: str) -> Iterator[Row]:
    required = schema.get("required", [])
    for name, field in schema["properties"].items():
        yield _read_field(name, field, required=name in required, place=place)


def _read_field(name: str, schema: Json, *, required: bool, place: str) -> Row:
    kind, of = _name_type(schema)
    choices = [str(choice) for choice in schema.get("enum", []) if choice is not None]
    return Row(
        name, kind, of, required, schema.get("description", ""), _name_limits(schema), place, choices, "anyOf" in schema
    )


def _name_type(schema: Json) -> tuple[str, str | None]:
    """Return two values: a short name for a type, and the name of an object.

    If the type is neither an object nor a list of objects, the name of the object is None.
    """
    if "$ref" in schema:
        return "object", schema["$ref"].removeprefix(_OBJECTS)
    if "anyOf" in schema:
        return _name_type(schema["anyOf"][0])[0] + ", or several", None
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if "array" in kinds:
        return "list", _name_type(schema["items"])[1]
    label = _LABELS.get(schema.get("format", ""), schema.get("format")) or kinds[0]
    return (f"{label} or null" if "null" in kinds else label), None


def _name_limits(schema: Json) -> str:
    parts = []
    if "minimum" in schema and "maximum" in schema:
        parts.append(f"{schema['minimum']} to {schema['maximum']}")
    if "default" in schema:
        parts.append(f"default {schema['default']:g}")
    return ", ".join(parts)


def _read_answer(status: str, answer: Json) -> Answer:
    examples = answer["content"]["application/json"].get("examples", {})
    return Answer(
        status=status,
        text=answer["description"].partition(":")[0].rstrip("."),
        error_types=[type_ for type_, example in examples.items() if "$ref" in example],
        examples=[(name, example["value"]) for name, example in examples.items() if "value" in example],
    )


def _read_event(name: str, event: Json) -> Event:
    content = event["requestBody"]["content"]["application/json"]
    headers = [_read_parameter(parameter) for parameter in event["parameters"]]
    return Event(name, event["summary"], headers, content["example"])


def _split_example(operation: Operation) -> tuple[str, Json]:
    """Return the path of an example request, and the remaining arguments.

    In the path, an example value replaces each placeholder. For example, the id of a message replaces `{id}`.
    """
    path, arguments = operation.path, dict(operation.example)
    for row in operation.arguments:
        if row.place == "path":
            path = path.replace(f"{{{row.name}}}", str(arguments.pop(row.name)))
    return path, arguments


def write_curl(address: str, operation: Operation) -> str:
    """Return a curl command that sends the example request. The command reads the API key from the variable KEY."""
    path, arguments = _split_example(operation)
    words = ["curl"]
    if operation.method == "GET" and arguments:
        words.append("-G")
    elif operation.method != "GET" and not (operation.method == "POST" and arguments):
        words.append(f"-X {operation.method}")
    words.append(shlex.quote(address + path))
    if not operation.public:
        words.append('-u "$KEY:"')
    fields = [
        f"  --data-urlencode {shlex.quote(f'{name}={one}')}"
        for name, value in arguments.items()
        for one in (value if isinstance(value, list) else [value])
    ]
    return " \\\n".join([" ".join(words), *fields])


def write_python(address: str, operation: Operation) -> str:
    """Return a Python program that sends the example request. The program needs only the standard library."""
    path, arguments = _split_example(operation)
    url = address + path
    if operation.public:
        return f"""\
import json
from urllib.request import urlopen

with urlopen({json.dumps(url)}) as response:
    print(json.load(response))"""
    given = "".join(
        f"    {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)},\n" for name, value in arguments.items()
    )
    if operation.method in ("POST", "PUT"):
        imported = ""
        request = f"""\
    {json.dumps(url)},
    data=json.dumps(arguments).encode(),
    headers={{"Content-Type": "application/json"}},
    method="{operation.method}","""
    else:
        imported = "from urllib.parse import urlencode\n"
        method = "" if operation.method == "GET" else f', method="{operation.method}"'
        request = f"    {json.dumps(url + '?')} + urlencode(arguments){method}"
    return f"""\
import json
import os
{imported}from urllib.request import Request, urlopen

arguments = {{
    "api_key": os.environ["KEY"],
{given}}}
request = Request(
{request}
)
with urlopen(request) as response:
    print(json.load(response))"""


def write_json(value: Any) -> Markup:
    """Convert a value to JSON, and put each part of the JSON into an HTML element.

    The CSS class of the element shows the kind of the part: a name, a string or another value.
    """
    text = html.escape(json.dumps(value, indent=2, ensure_ascii=False), quote=False)
    marked = _JSON_TOKEN.sub(lambda token: f'<span class="json-{token.lastgroup}">{token[0]}</span>', text)
    return Markup(marked)  # noqa: S704 - escaped above


def format_inline(text: str) -> Markup:
    """Return a line of text as HTML. `code` and **bold** become HTML elements."""
    marked = re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))
    return Markup(re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", marked))  # noqa: S704 - escaped above


def format_text(text: str) -> Markup:
    """Return a text as HTML. Empty lines separate paragraphs."""
    paragraphs = [format_inline(" ".join(part.split())) for part in text.split("\n\n") if part.strip()]
    return Markup("\n").join(Markup("<p>{}</p>").format(paragraph) for paragraph in paragraphs)
