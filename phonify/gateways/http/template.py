"""Templates of requests. A placeholder such as {to} stands for a value of a message.

Phonify escapes the values. In a form or in a query, Phonify uses percent-encoding. In JSON, Phonify uses the escapes of
JSON. In a header, the values are unchanged.
"""

import json
import re
from collections.abc import Collection, Mapping
from urllib.parse import quote

Values = Mapping[str, str | bytes]  # by the names of the placeholders

CREDENTIALS = frozenset({"username", "password", "basic"})
_NUMBERS = frozenset({"part", "parts", "validity_seconds", "validity_minutes", "to_digits"})
_TEXTS = frozenset({"to", "from", "from_digits", "text", "text_hex", "coding", "udh_hex", "id", "receipt_url"})
_OCTETS = frozenset({"udh"})  # JSON can't have them

PLACEHOLDERS = CREDENTIALS | _NUMBERS | _TEXTS | _OCTETS

_PLACEHOLDER = re.compile(r"\{([A-Za-z0-9_]+)\}")
_PARAMETER = re.compile(r"[A-Za-z0-9._~%*\[\]-]+=[!\"$-;=?-~]*")
_HEADER = re.compile(r"([A-Za-z0-9-]+):\s*([\x20-\x7e]*)")
FORM_TYPE, JSON_TYPE = "application/x-www-form-urlencoded", "application/json"


class Form:
    """A template in the format `name=value&name=value`. Phonify makes a form or a query string from the template.

    The text of the template must be percent-encoded. Its placeholders, such as `{to}`, are not encoded.
    """

    content_type = FORM_TYPE

    def __init__(self, text: str, allowed: Collection[str] = PLACEHOLDERS) -> None:
        self.names = _find_names(text, allowed)
        self._parameters = text.split("&") if text else []
        for number, parameter in enumerate(self._parameters, start=1):
            if not _PARAMETER.fullmatch(parameter) or re.search("[{}]", _PLACEHOLDER.sub("", parameter)):
                # The error does not quote the parameter, because the parameter may contain a secret.
                raise ValueError(f"parameter {number} can't be read: use name=value&name=value, percent-encoded")

    def render(self, values: Values) -> str:
        """Return the form. A parameter is left out if one of its placeholders has no value."""
        return "&".join(
            _PLACEHOLDER.sub(lambda found: quote(values[found[1]], safe=""), parameter)
            for parameter in self._parameters
            if all(values[name] for name in _PLACEHOLDER.findall(parameter))
        )


class Json:
    """A template of a JSON document.

    Each placeholder must be inside quotes, except a placeholder whose value is an integer.
    """

    content_type = JSON_TYPE

    def __init__(self, text: str) -> None:
        self._text = text
        self.names = _find_names(text, PLACEHOLDERS - _OCTETS)
        sample = {name: "1" if name in _NUMBERS else '"\\\n' for name in self.names}
        try:
            json.loads(self.render(sample))
        except ValueError as error:
            raise ValueError(
                "it is not valid JSON: write quotes around each placeholder, except placeholders for numbers"
            ) from error

    def render(self, values: Values) -> str:
        """Return the document."""
        return _PLACEHOLDER.sub(lambda found: json.dumps(values[found[1]])[1:-1], self._text)


Template = Form | Json  # of a body


class Headers:
    """A template of headers: `Name: value | Name: value`."""

    def __init__(self, text: str) -> None:
        self.names = _find_names(text, CREDENTIALS | {"id"})
        self._headers: dict[str, str] = {}
        for number, header in enumerate(filter(None, map(str.strip, text.split("|"))), start=1):
            found = _HEADER.fullmatch(header)
            if found is None or re.search("[{}]", _PLACEHOLDER.sub("", header)):
                raise ValueError(f"header {number} can't be read: use Name: value | Name: value")
            self._headers[found[1].title()] = found[2]

    def render(self, values: Values) -> dict[str, str]:
        """Return the headers."""
        return {
            name: _PLACEHOLDER.sub(lambda found: str(values[found[1]]), value) for name, value in self._headers.items()
        }


def parse_body(text: str) -> Template:
    """Return the template of a body. The body is JSON if it begins with a bracket. Otherwise, it is a form."""
    return Json(text) if text.lstrip().startswith(("{", "[")) else Form(text)


def _find_names(text: str, allowed: Collection[str]) -> frozenset[str]:
    names = frozenset(_PLACEHOLDER.findall(text))
    for name in sorted(names - frozenset(allowed)):
        fault = "is not allowed in this template" if name in PLACEHOLDERS else "is not a placeholder"
        raise ValueError(f"{{{name}}} {fault}")
    return names
