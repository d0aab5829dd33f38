"""The schema for the result of a text check. The API and the command line use this schema."""

from typing import Any

from marshmallow import Schema, fields, pre_dump, validate

from ..sms.segments import TextCheck, count_units
from .objects import ENCODING, Shown, is_encoding

_POSITION = {"minimum": 0, "description": "The position in the text. The first character is 0."}
_UNITS = {"description": "The length in septets for GSM-7, or in UTF-16 units for UCS-2."}


class SegmentSchema(Schema):
    """The part of a text that fits into one SMS. It is `text[start:end]`."""

    start = fields.Integer(required=True, metadata=_POSITION)
    end = fields.Integer(required=True, metadata={**_POSITION, "description": "The position after the last character."})
    units = fields.Integer(required=True, metadata={"minimum": 0, **_UNITS})
    text = fields.String(required=True)


class WideCharacterSchema(Schema):
    """A character that is not in GSM-7."""

    position = fields.Integer(required=True, metadata=_POSITION)
    character = fields.String(
        required=True,
        validate=validate.Length(1, 2),
        metadata={"description": "The character. A letter together with its combining accent is one character here."},
    )
    name = fields.String(required=True, metadata={"description": "The Unicode name of the character."})
    substitute = fields.String(
        required=True,
        allow_none=True,
        metadata={
            "description": "A replacement in GSM-7. Null if there is no replacement. An empty string means that you"
            " can leave out the character."
        },
    )


class WebOtpSchema(Schema):
    """The last line of a text. It can bind a one-time code to a web site."""

    valid = fields.Boolean(required=True)
    line = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "The last line of the text. Null if this line does not begin with `@`."},
    )
    host = fields.String(required=True, allow_none=True)
    embedded_host = fields.String(
        required=True,
        allow_none=True,
        metadata={
            "description": "The second host in the line. Null if the line has only one host. If the line has two"
            " hosts, the one-time code is meant for a page on the second host. This page is embedded in a page on the"
            " first host. The first host is in the field `host`."
        },
    )
    code = fields.String(required=True, allow_none=True)


class TextCheckSchema(Schema):
    """The result of checking a text."""

    encoding = fields.String(required=True, validate=is_encoding, metadata=ENCODING)
    characters = fields.Integer(
        required=True, metadata={"minimum": 1, "description": "The number of characters (Unicode code points)."}
    )
    units = fields.Integer(required=True, metadata={"minimum": 1, **_UNITS})
    single = fields.Integer(required=True, metadata={"description": "The maximum length of a single SMS, in units."})
    segments = fields.Nested(
        SegmentSchema, many=True, required=True, metadata={"description": "The segments of the text, one for each SMS."}
    )
    wide = fields.Nested(
        WideCharacterSchema,
        many=True,
        required=True,
        metadata={"description": "The characters that are not in GSM-7. They need UCS-2."},
    )
    webotp = fields.Nested(
        WebOtpSchema,
        required=True,
        metadata={
            "description": "The last line of the text. A browser can read a code from a line such as `@host #code`."
        },
    )

    @pre_dump
    def spell_out(self, check: TextCheck, **_: Any) -> Shown:
        """Convert the result of a text check to a dictionary for the API's answer.

        The dictionary contains the position of each segment. The field `webotp` contains the parts of the text's last
        line.
        """
        code = check.bound_code
        return {
            **check._asdict(),
            "characters": sum(map(len, check.segments)),
            "segments": _list_segments(check),
            "webotp": {
                "valid": code is not None,
                "line": check.bound_line,
                "host": code and code.host,
                "embedded_host": code and code.embedded_host,
                "code": code and code.code,
            },
        }


def _list_segments(check: TextCheck) -> list[Shown]:
    segments, start = [], 0
    for text in check.segments:
        end = start + len(text)
        segments.append({"start": start, "end": end, "units": count_units(text, check.encoding), "text": text})
        start = end
    return segments


_TEXT_CHECK = TextCheckSchema()


def dump_check(check: TextCheck) -> Shown:
    """Convert the result of a text check to the format of the API."""
    shown: Shown = _TEXT_CHECK.dump(check)
    return shown
