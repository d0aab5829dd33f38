"""The parameters in the query and in the body of a provider's request. The body is a form or JSON.

The values are bytes, because the encoding of a text is not always UTF-8. Another parameter can name the encoding.
"""

import json
import re
from typing import Any
from urllib.parse import parse_qsl

from ...sms.alphabet import decode_gsm7
from ..events import CallbackRequest, Unreadable

Parameters = dict[str, bytes]

_MOST = 200  # parameters
_CHARSETS = re.compile(
    r"utf-?8|utf-?16(-?[bl]e)?|us-ascii|ascii|iso-8859-[0-9]{1,2}|latin-?1|windows-125[0-8]|cp125[0-8]"
)
_DATA_CODINGS = {"": "utf-8", "1": "ascii", "3": "latin-1", "8": "utf-16-be"}  # SMPP 3.4 section 5.2.19, without GSM-7
_GSM7 = ("0", "gsm", "gsm7", "gsm-7")


def read_parameters(request: CallbackRequest) -> Parameters:
    """Return the parameters. If a name occurs several times, the first value is used.

    In JSON, the name of a nested value is its path: data.0.id.
    """
    pairs = _parse_form(request.url.partition("?")[2])
    if request.headers.get("Content-Type", "").partition(";")[0].strip().lower().endswith("json"):
        try:
            document = json.loads(request.body)
        except (ValueError, RecursionError) as error:
            raise Unreadable("its body is not JSON") from error
        pairs += _flatten(document)
    else:
        pairs += _parse_form(request.body.decode("latin-1"))
    return dict(reversed(pairs))


def decode_text(octets: bytes, charset: str) -> str | None:
    """Decode a text. Returns None if the octets are binary or the charset is unknown.

    `charset` can be a name, such as UTF-16BE. It can also be the number of a data coding in SMPP, such as 8.
    """
    charset = charset.strip().lower()
    if charset in _GSM7:
        return decode_gsm7(octets)
    name = _DATA_CODINGS.get(charset, charset)
    if not (_CHARSETS.fullmatch(name) or charset in _DATA_CODINGS):
        return None
    try:
        return octets.decode(name, errors="replace").removeprefix("\ufeff")
    except LookupError:
        return None


def _parse_form(text: str) -> list[tuple[str, bytes]]:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, encoding="latin-1", max_num_fields=_MOST)
    except ValueError as error:
        raise Unreadable("it has too many parameters") from error
    return [(name, value.encode("latin-1", errors="replace")) for name, value in pairs]


def _flatten(document: Any) -> list[tuple[str, bytes]]:
    pairs: list[tuple[str, bytes]] = []
    waiting: list[tuple[str, Any]] = [("", document)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict | list):
            items = value.items() if isinstance(value, dict) else enumerate(value)
            waiting += [(f"{path}.{name}" if path else str(name), item) for name, item in items]
        elif isinstance(value, str | int | float) and not isinstance(value, bool):
            pairs.append((path, str(value).encode(errors="replace")))
        if len(pairs) + len(waiting) > _MOST:
            raise Unreadable("it has too many parameters")
    return pairs
