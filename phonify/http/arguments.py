"""Reads the arguments of a request. The query string and the body can contain arguments. The body is a form or JSON."""

import json
import re
from codecs import BOM_UTF8
from collections import Counter
from typing import Any
from urllib.parse import parse_qsl

from flask import request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge, UnsupportedMediaType
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder

from ..errors import EncodedBody, Fault, InvalidRequest

Arguments = dict[str, Any]

# Arguments that are phone numbers. In a query string or a form, a client must write the plus sign as %2B. Otherwise it
# arrives as a space. The same is true for the plus sign in the time zone of `send_at`.
_NUMBERS = {"to", "origin", "phone", "from"}
_TIME_ZONE = re.compile(r"(T.*) ([0-9]{2}:?[0-9]{2})$")  # a time whose plus sign arrived as a space
_MANY = "to"  # the only argument that may have several values
_LISTED = re.compile(rf"{_MANY}\[[0-9]{{0,4}}\]")  # to[], or a name with an index as in PHP, such as to[0]
_FILES = ("to", "body")  # a client can send these arguments as files
_URLENCODED = "application/x-www-form-urlencoded"
MAX_FIELDS = 1_100
MAX_CONTENT_LENGTH = 256 * 1024  # bytes


def read_arguments() -> Arguments:
    """Return the arguments of the current request.

    If an argument is in the query string and in the body, the value in the body is used. A JSON null means that the
    argument is not given. Raises InvalidRequest, EncodedBody, UnsupportedMediaType or RequestEntityTooLarge if the
    request can't be read.

    The value of `to` is a list in three cases:
    - The request contains the argument `to` several times.
    - The argument has the name `to[]` or `to[0]`.
    - The value is a JSON array.
    """
    return {**_collect(_parse(request.query_string)), **_read_body()}


def read_fields() -> list[tuple[str, str]]:
    """Return the fields of the query string, followed by the fields of a form in the body.

    If the body is not a form, the result has only the fields of the query string. Raises the same errors as
    `read_arguments`.
    """
    return _parse(request.query_string) + (_parse_form(read_data()) or [])


def _read_body() -> Arguments:
    data = read_data()
    if not data:
        return {}
    if request.content_encoding not in (None, "identity"):
        raise EncodedBody
    if request.is_json:
        return _read_json(data)
    if request.mimetype == _URLENCODED and _is_json_object(data):
        raise InvalidRequest([Fault("json_sent_as_form")])
    pairs = _parse_form(data)
    if pairs is None:
        raise UnsupportedMediaType
    return _collect(pairs)


def read_data() -> bytes:
    """Return the body. Raises InvalidRequest if the body is incomplete."""
    try:
        data = request.get_data()
    except HTTPException:
        raise
    except Exception as error:  # for malformed chunks, each WSGI server raises a different error
        raise InvalidRequest([Fault("bad_request")]) from error
    length = request.content_length
    if length is None and len(data) >= MAX_CONTENT_LENGTH:
        raise RequestEntityTooLarge  # Werkzeug does not read more than this from a chunked body
    if length is not None and len(data) != length:
        # The client has closed the connection. With some WSGI servers, Werkzeug does not notice this.
        raise InvalidRequest([Fault("bad_request")])
    return data


def _read_json(data: bytes) -> Arguments:
    # request.get_json is not used, because it accepts UTF-16 and does not handle a RecursionError.
    try:
        arguments = json.loads(
            data.removeprefix(BOM_UTF8).decode(), object_pairs_hook=_make_object, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError) as error:
        raise InvalidRequest([Fault("malformed_json")]) from error
    if not isinstance(arguments, dict):
        raise InvalidRequest([Fault("json_not_object")])
    arguments = {name: value for name, value in arguments.items() if value is not None}
    if f"{_MANY}[]" in arguments:
        arguments.setdefault(_MANY, arguments.pop(f"{_MANY}[]"))
    return arguments


def _make_object(pairs: list[tuple[str, Any]]) -> Arguments:
    counts = Counter(name for name, _ in pairs)
    repeated = [name for name in counts if counts[name] > 1]
    if repeated:
        raise InvalidRequest([Fault("repeated_argument", name) for name in repeated])
    return dict(pairs)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _is_json_object(data: bytes) -> bool:
    """Return whether a form contains JSON. Some clients send JSON, but with the content type of a form."""
    if not data.lstrip().startswith(b"{"):
        return False
    try:
        return isinstance(json.loads(data), dict)
    except (ValueError, RecursionError):
        return False


def _parse_form(data: bytes) -> list[tuple[str, str]] | None:
    """Return the fields of a form, or None if the body of the current request is not a form."""
    if request.mimetype == _URLENCODED:
        return _parse(data)
    if request.mimetype == "multipart/form-data":
        return _parse_multipart(data, request.mimetype_params.get("boundary", ""))
    return None


def _parse(encoded: bytes) -> list[tuple[str, str]]:
    # request.args and request.form are not used, because they replace bytes that are not UTF-8.
    if encoded.count(b"&") >= MAX_FIELDS:
        raise RequestEntityTooLarge
    try:
        return parse_qsl(
            encoded.removeprefix(BOM_UTF8).removeprefix(b"%EF%BB%BF").decode(), keep_blank_values=True, errors="strict"
        )
    except ValueError as error:
        raise InvalidRequest([Fault("malformed_form")]) from error


def _parse_multipart(data: bytes, boundary: str) -> list[tuple[str, str]]:
    # request.form is not used, because it hides two errors: an incomplete body, and bytes that are not UTF-8.
    decoder = MultipartDecoder(boundary.encode(), max_parts=MAX_FIELDS)
    pairs: list[tuple[str, str]] = []
    name, value = None, b""
    try:
        decoder.receive_data(data)
        decoder.receive_data(None)  # the end of the data
        while not isinstance(event := decoder.next_event(), Epilogue):
            if isinstance(event, Field | File):
                name, value = (event.name if isinstance(event, Field) or event.name in _FILES else None), b""
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
        name = _MANY if _LISTED.fullmatch(given_name) else given_name
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
