"""CORS allows pages of other origins to call the API. The setting PHONIFY_CORS lists these origins.

The description of the API is public. So all origins are allowed to fetch the description.
"""

from flask import Response, request

from .current import get_services

_PATHS = ("/v1/", "/sandbox/")
_DESCRIPTION = "/v1/openapi.json"
_METHODS = "GET, POST, PUT, DELETE"
_REQUEST_HEADERS = "Authorization, Content-Type, Idempotency-Key, X-Request-Id"
_ANSWER_HEADERS = (
    "Location, Retry-After, Idempotent-Replayed, RateLimit, RateLimit-Policy, X-Request-Id, X-Phonify-Rule"
)
_MAX_AGE = 600  # seconds; for this time, a browser keeps the answer to a preflight request


def add_cors_headers(response: Response) -> Response:
    """Let a page read the answer if the page comes from an allowed origin. This is an `after_request` function."""
    if request.path == _DESCRIPTION:
        response.headers["Access-Control-Allow-Origin"] = "*"
        return response
    allowed = get_services().settings.cors
    if not allowed or not request.path.startswith(_PATHS):
        return response
    response.vary.add("Origin")
    origin = request.headers.get("Origin")
    if origin is None or not {"*", origin} & set(allowed):
        return response
    response.headers["Access-Control-Allow-Origin"] = origin
    response.headers["Access-Control-Expose-Headers"] = _ANSWER_HEADERS
    if request.method == "OPTIONS":
        response.headers["Access-Control-Allow-Methods"] = _METHODS
        response.headers["Access-Control-Allow-Headers"] = _REQUEST_HEADERS
        response.headers["Access-Control-Max-Age"] = str(_MAX_AGE)
    return response
