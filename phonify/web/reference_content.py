"""Makes the content of the reference page from the OpenAPI document: operations, fields, samples, texts."""

import json
import re
import shlex
from collections.abc import Iterator
from typing import Any, NamedTuple

from markupsafe import Markup, escape

Json = dict[str, Any]

_LABELS = {"date-time": "time", "message-id": "message id", "own-number": "number", "originator": "sender"}
_OBJECTS = "#/components/schemas/"
_ERROR_STATUS = 400
_TITLES = {
    "openapi": "OpenAPI",
    "test_messages": "Test messages",
    "test_problems": "Problems in a test",
    "test_rules": "Rules",
    "test_runs": "Test runs",
    "test_lab": "Webhook lab",
    "test_twilio": "Twilio in tests",
}
# The objects on the page, in this order. Other schemas of the document are answers that contain these objects.
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
    """A field of an object, or an argument."""

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
    """An answer of an operation."""

    status: str
    text: str
    objects: list[str]
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
    example: Json  # arguments by name, including path parameters

    def list_error_types(self) -> set[str]:
        """Return the error types of the operation."""
        return {type_ for answer in self.faults for type_ in answer.error_types}


class Event(NamedTuple):
    """A webhook event."""

    name: str
    summary: str
    headers: list[Row]
    example: Any


def read_document(document: Json) -> Json:
    """Return the content of the page. The names are the variables of its template."""
    operations: dict[str, list[Operation]] = {tag["name"]: [] for tag in document["tags"]}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            operations[operation["tags"][0]].append(_read_operation(document, path, method, operation))
    schemas = document["components"]["schemas"]
    with_key = [operation for found in operations.values() for operation in found if not operation.public]
    common = set.intersection(*(operation.list_error_types() for operation in with_key))
    return {
        "common_errors": common,
        "version": document["info"]["version"],
        "text": document["info"]["description"],
        "tags": [
            (name, _TITLES.get(name, name.capitalize()), tag["description"], operations[name])
            for tag in document["tags"]
            for name in [tag["name"]]
        ],
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
        arguments += _read_fields(_resolve(document, media_type["schema"]), "body")
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
        answers=[answer for answer in answers if answer.examples or answer.objects],
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
    """Return a short name for the type of a schema's value. Also return the name of the object, if there is one."""
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


def _resolve(document: Json, schema: Json) -> Json:
    found: Json = document["components"]["schemas"][schema["$ref"].removeprefix(_OBJECTS)]
    return found


def _read_answer(status: str, answer: Json) -> Answer:
    content = answer["content"]["application/json"]
    examples = content.get("examples", {})
    return Answer(
        status=status,
        text=answer["description"].partition(":")[0].rstrip("."),
        objects=[part["$ref"] for part in [content["schema"]] if "$ref" in part and int(status) < _ERROR_STATUS],
        error_types=[type_ for type_, example in examples.items() if "$ref" in example],
        examples=[(name, example["value"]) for name, example in examples.items() if "value" in example],
    )


def _read_event(name: str, event: Json) -> Event:
    content = event["requestBody"]["content"]["application/json"]
    headers = [_read_parameter(parameter) for parameter in event["parameters"]]
    return Event(name, event["summary"], headers, content["example"])


def _split_example(operation: Operation) -> tuple[str, Json]:
    """Return the path of an operation's example, and the arguments that are not in the path."""
    path, arguments = operation.path, dict(operation.example)
    for row in operation.arguments:
        if row.place == "path":
            path = path.replace(f"{{{row.name}}}", str(arguments.pop(row.name)))
    return path, arguments


def write_curl(address: str, operation: Operation) -> str:
    """Return a curl line for an operation's example. It takes the key from the variable KEY."""
    path, arguments = _split_example(operation)
    words = ["curl"]
    if operation.method == "GET" and arguments:
        words.append("-G")
    elif operation.method != "GET" and not (operation.method == "POST" and arguments):
        words.append(f"-X {operation.method}")
    words.append(shlex.quote(address + path))
    if not operation.public:
        words.append('-u "$KEY:"')
    lines = [" ".join(words)]
    for name, value in arguments.items():
        for one in value if isinstance(value, list) else [value]:
            lines.append(f"  --data-urlencode {shlex.quote(f'{name}={one}')}")  # noqa: PERF401 - two loops
    return " \\\n".join(lines)


def write_python(address: str, operation: Operation) -> str:
    """Return a Python program for an operation's example. It needs only the standard library."""
    path, arguments = _split_example(operation)
    url = address + path
    if operation.public:
        opened, imports, given = json.dumps(url), "import json", ""
    else:
        shown = "".join(f"    {json.dumps(name)}: {_write_value(value)},\n" for name, value in arguments.items())
        given = f'arguments = {{\n    "api_key": os.environ["KEY"],\n{shown}}}\n'
        imports = "import json\nimport os"
        if operation.method in ("POST", "PUT"):
            given += (
                f"request = Request(\n    {json.dumps(url)},\n    data=json.dumps(arguments).encode(),\n"
                f'    headers={{"Content-Type": "application/json"}},\n    method="{operation.method}",\n)\n'
            )
        else:
            imports += "\nfrom urllib.parse import urlencode"
            method = "" if operation.method == "GET" else f', method="{operation.method}"'
            given += f"request = Request(\n    {json.dumps(url + '?')} + urlencode(arguments){method}\n)\n"
        opened = "request"
    names = "urlopen" if operation.public else "Request, urlopen"
    return (
        f"{imports}\nfrom urllib.request import {names}\n\n{given}"
        f"with urlopen({opened}) as response:\n    print(json.load(response))"
    )


def _write_value(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


_STRING = re.compile(r'("(?:[^"\\]|\\.)*")(\s*:)?|\b(true|false|null|-?[0-9.]+)\b')


def write_json(value: Any) -> Markup:
    """Return JSON as HTML. Names, strings and other values are in elements with different classes."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    written, position = Markup(""), 0
    for match in _STRING.finditer(text):
        kind = "name" if match[2] else "string" if match[1] else "value"
        token = match[1] or match[3]
        written += escape(text[position : match.start()]) + Markup('<span class="json-{}">{}</span>').format(
            kind, token
        )
        position = match.start() + len(token)
    return written + escape(text[position:])


_INLINE = re.compile(r"`([^`]+)`|\*\*([^*]+)\*\*")


def format_inline(text: str) -> Markup:
    """Return a line of text as HTML. `code` and **bold** become elements."""
    written, position = Markup(""), 0
    for match in _INLINE.finditer(text):
        tag = "code" if match[1] is not None else "strong"
        written += escape(text[position : match.start()]) + Markup("<{0}>{1}</{0}>").format(tag, match[1] or match[2])
        position = match.end()
    return written + escape(text[position:])


def format_text(text: str) -> Markup:
    """Return a text as HTML. Empty lines separate paragraphs."""
    paragraphs = [format_inline(" ".join(part.split())) for part in text.split("\n\n") if part.strip()]
    return Markup("\n").join(Markup("<p>{}</p>").format(paragraph) for paragraph in paragraphs)
