"""How answers become JSON: compact, members in the order they were given."""

import json
from typing import Any

from flask.json.provider import JSONProvider


class PlainJSONProvider(JSONProvider):
    """Flask's JSON with one encoder for all answers, made once."""

    _encoder = json.JSONEncoder(separators=(",", ":"))

    def dumps(self, obj: Any, **_: Any) -> str:
        """Return an object of plain types as JSON."""
        return self._encoder.encode(obj)

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Return what JSON says."""
        return json.loads(s, **kwargs)
