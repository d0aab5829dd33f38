"""The arguments of a request: the same whether they come by query string, form or JSON."""

import json
import re
from codecs import BOM_UTF8
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from flask import g, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge, UnsupportedMediaType
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder

from ..errors import Fault, InvalidRequest

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

Arguments = dict[str, Any]

# Arguments that are phone numbers. A plus sign that was not escaped in a query or a form arrives
# as a space; so does that of a time zone in `send_at`.
_NUMBERS = {"to", "origin", "phone", "from"}
_TIME_ZONE = re.compile(r"(T.*) ([0-9]{2}:?[0-9]{2})$")  # of a time, after its plus sign
_MANY = "to"  # the one argument that may be given several times
MAX_FIELDS = 1_100
MAX_CONTENT_LENGTH = 256 * 1024  # bytes


def read_arguments() -> Arguments:
    """Return the arguments of the current request; those of the body win over the query string.

    `to` is a list if it was given as one: repeated, as `to[]`, or as a JSON array. A JSON null is
    an argument not given. Raises InvalidRequest for what can't be read, UnsupportedMediaType and
    RequestEntityTooLarge.
    """
    outcome: Arguments | Exception | None = g.get("arguments")
    if outcome is None:
        try:
            environ = request.environ
            outcome = {**_read_query(environ), **_read_body(environ)}
        except (InvalidRequest, HTTPException) as error:
            # The body can be read but once, and authentication goes on where the key is in the address.
            outcome = error
        g.arguments = outcome
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def read_query() -> Arguments:
    """Return the arguments of the query string alone."""
    return _read_query(request.environ)


# From the environment rather than by `request`, which parses a header anew for each question.


def _read_query(environ: "WSGIEnvironment") -> Arguments:
    query = environ.get("QUERY_STRING")
    return _collect(_parse(query.encode("latin-1"))) if query else {}


def _read_body(environ: "WSGIEnvironment") -> Arguments:
    data = _read_data(environ)
    if not data:
        return {}
    if environ.get("HTTP_CONTENT_ENCODING", "identity") != "identity":
        raise UnsupportedMediaType
    mimetype, parameters = _parse_content_type(environ.get("CONTENT_TYPE", ""))
    if mimetype == "application/x-www-form-urlencoded":
        return _collect(_parse(data))
    if mimetype == "application/json" or (mimetype.startswith("application/") and mimetype.endswith("+json")):
        return _read_json(data)
    if mimetype == "multipart/form-data":
        return _collect(_parse_multipart(data, parameters.get("boundary", "")))
    raise UnsupportedMediaType


@lru_cache(maxsize=256)
def _parse_content_type(text: str) -> tuple[str, dict[str, str]]:
    mimetype, parameters = parse_options_header(text)
    return mimetype.lower(), parameters


def _read_data(environ: "WSGIEnvironment") -> bytes:
    """Return the whole body; a part of one is worse than none."""
    declared = environ.get("CONTENT_LENGTH") or ""
    chunked = "HTTP_TRANSFER_ENCODING" in environ
    if not declared and not chunked:
        return b""
    try:
        # Straight from the server: the layers that request.get_data puts between cost as much as a query.
        data: bytes = request.get_data(cache=False) if chunked else environ["wsgi.input"].read(_read_length(declared))
    except HTTPException:
        raise
    except Exception as error:  # what the server raises for chunks that are none
        raise InvalidRequest([Fault("bad_request")]) from error
    if chunked and len(data) >= MAX_CONTENT_LENGTH:
        raise RequestEntityTooLarge  # it is cut off there
    if not chunked and len(data) != int(declared):
        raise InvalidRequest([Fault("bad_request")])
    return data


def _read_length(declared: str) -> int:
    if not (declared.isascii() and declared.isdecimal()):
        raise ValueError("no length")
    length = int(declared)
    if length > MAX_CONTENT_LENGTH:
        raise RequestEntityTooLarge
    return length


def _read_json(data: bytes) -> Arguments:
    try:
        arguments = json.loads(data.removeprefix(BOM_UTF8).decode())
    except (ValueError, RecursionError) as error:
        raise InvalidRequest([Fault("malformed_json")]) from error
    if not isinstance(arguments, dict):
        raise InvalidRequest([Fault("json_not_object")])
    arguments = {name: value for name, value in arguments.items() if value is not None}
    if f"{_MANY}[]" in arguments:
        arguments.setdefault(_MANY, arguments.pop(f"{_MANY}[]"))
    return arguments


def _parse(encoded: bytes) -> list[tuple[str, str]]:
    # Not request.args and request.form: they pass on bytes that are no UTF-8 as something else, and
    # take a form that is cut off for a shorter one.
    if encoded.count(b"&") >= MAX_FIELDS:
        raise RequestEntityTooLarge
    try:
        return parse_qsl(encoded.decode("utf-8"), keep_blank_values=True, errors="strict")
    except ValueError as error:
        raise InvalidRequest([Fault("malformed_form")]) from error


def _parse_multipart(data: bytes, boundary: str) -> list[tuple[str, str]]:
    decoder = MultipartDecoder(boundary.encode(), max_parts=MAX_FIELDS)
    pairs: list[tuple[str, str]] = []
    name, value = None, b""
    try:
        decoder.receive_data(data)
        decoder.receive_data(None)  # that was all
        while not isinstance(event := decoder.next_event(), Epilogue):
            if isinstance(event, Field | File):
                name, value = (event.name if isinstance(event, Field) else None), b""
            elif isinstance(event, Data):
                value += event.data
                if name is not None and not event.more_data:
                    pairs.append((name, value.decode()))
    except ValueError as error:
        raise InvalidRequest([Fault("malformed_form")]) from error
    return pairs


def _collect(pairs: list[tuple[str, str]]) -> Arguments:
    arguments: Arguments = {}
    for given_name, given in pairs:
        name = _MANY if given_name == f"{_MANY}[]" else given_name
        value = given
        if name in _NUMBERS and given.startswith(" "):
            value = f"+{given[1:]}"
        elif name == "send_at":
            value = _TIME_ZONE.sub(r"\1+\2", given)
        if name not in arguments:
            arguments[name] = [value] if given_name != name else value
        elif isinstance(arguments[name], list):
            arguments[name].append(value)
        else:
            arguments[name] = [arguments[name], value]
    return arguments
