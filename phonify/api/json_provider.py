"""How answers become JSON: compact, members in the order they were given."""

import json
from typing import Any

from flask import Response
from flask.json.provider import JSONProvider

# Made once for all answers; no object of ours has itself in it.
encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


class PlainJSONProvider(JSONProvider):
    """Flask's JSON with the encoder above."""

    def dumps(self, obj: Any, **_: Any) -> str:
        """Return an object of plain types as JSON."""
        return encode(obj)

    def response(self, *args: Any, **kwargs: Any) -> Response:
        """Return an answer of the arguments' JSON."""
        text = self.dumps(self._prepare_response_obj(args, kwargs))
        # To its types, Flask's own class of responses is one of Werkzeug's.
        response: Response = self._app.response_class(text, content_type="application/json")  # type: ignore[assignment]
        return response

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Return what JSON says."""
        return json.loads(s, **kwargs)
