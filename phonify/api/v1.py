"""The parent of all resources under /v1: every request for one of them needs a key and counts for the rate limit.

A path or a method that does not exist belongs to no resource and is answered without a key.
"""

from flask import Blueprint

from ..http.auth import require_key
from . import messages, phones, subscriptions

bp = Blueprint("v1", __name__, url_prefix="/v1")
bp.before_request(require_key)

for resource in (messages, phones, subscriptions):
    bp.register_blueprint(resource.bp)
