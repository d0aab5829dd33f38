"""The arguments of a request, from the query string, a form or JSON."""

import json
import re
from codecs import BOM_UTF8
from typing import Any
from urllib.parse import parse_qsl

from flask import request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge, UnsupportedMediaType
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder

from ..errors import Fault, InvalidRequest

Arguments = dict[str, Any]

# Arguments that are phone numbers. A plus sign that is not escaped in a query or a form arrives as a space; the same
# happens to the time zone of `send_at`.
_NUMBERS = {"to", "origin", "phone", "from"}
_TIME_ZONE = re.compile(r"(T.*) ([0-9]{2}:?[0-9]{2})$")  # the part of a time after its plus sign
_MANY = "to"  # the one argument that may be given several times
MAX_FIELDS = 1_100
MAX_CONTENT_LENGTH = 256 * 1024  # bytes


def read_arguments() -> Arguments:
    """Return the arguments of the current request. The body wins over the query string.

    `to` is a list if it was repeated, or given as `to[]` or as a JSON array. A JSON null means that the argument is not
    given. Raises InvalidRequest if the request can't be read, UnsupportedMediaType and RequestEntityTooLarge.
    """
    return {**_collect(_parse(request.query_string)), **_read_body()}


def read_fields() -> list[tuple[str, str]]:
    """Return the fields of the query string, then those of a form in the body, in their order.

    A body of another type has no fields. Raises what `read_arguments` raises.
    """
    fields = _parse(request.query_string)
    data = _read_data()
    if request.mimetype == "application/x-www-form-urlencoded":
        fields += _parse(data)
    elif request.mimetype == "multipart/form-data":
        fields += _parse_multipart(data, request.mimetype_params.get("boundary", ""))
    return fields


def _read_body() -> Arguments:
    data = _read_data()
    if not data:
        return {}
    if request.content_encoding not in (None, "identity"):
        raise UnsupportedMediaType
    if request.is_json:
        return _read_json(data)
    if request.mimetype == "application/x-www-form-urlencoded":
        return _collect(_parse(data))
    if request.mimetype == "multipart/form-data":
        return _collect(_parse_multipart(data, request.mimetype_params.get("boundary", "")))
    raise UnsupportedMediaType


def _read_data() -> bytes:
    """Return the body; raise InvalidRequest if it is incomplete."""
    try:
        data = request.get_data()
    except HTTPException:
        raise
    except Exception as error:  # each server raises its own error for malformed chunks
        raise InvalidRequest([Fault("bad_request")]) from error
    length = request.content_length
    if length is None and len(data) >= MAX_CONTENT_LENGTH:
        raise RequestEntityTooLarge  # Werkzeug cuts a chunked body at this length
    if length is not None and len(data) != length:
        # Some servers end the stream themselves, so Werkzeug does not notice that the client has gone.
        raise InvalidRequest([Fault("bad_request")])
    return data


def _read_json(data: bytes) -> Arguments:
    # Not request.get_json: it can't tell malformed JSON from another encoding, accepts UTF-16, and lets a
    # RecursionError through.
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
    # Not request.args and request.form: they replace bytes that are not UTF-8.
    if encoded.count(b"&") >= MAX_FIELDS:
        raise RequestEntityTooLarge
    try:
        return parse_qsl(encoded.decode(), keep_blank_values=True, errors="strict")
    except ValueError as error:
        raise InvalidRequest([Fault("malformed_form")]) from error


def _parse_multipart(data: bytes, boundary: str) -> list[tuple[str, str]]:
    # Not request.form: it is empty if the body is cut off, and replaces bytes that are not UTF-8.
    decoder = MultipartDecoder(boundary.encode(), max_parts=MAX_FIELDS)
    pairs: list[tuple[str, str]] = []
    name, value = None, b""
    try:
        decoder.receive_data(data)
        decoder.receive_data(None)  # the end of the data
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
