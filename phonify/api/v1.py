"""The parent blueprint of all resources under /v1.

Every request for a resource needs a key and counts for the rate limit. A request with an unknown path or method gets
404 or 405, also without a key.
"""

from flask import Blueprint

from ..http.auth import require_key
from . import messages, phones, subscriptions, webhook

bp = Blueprint("v1", __name__, url_prefix="/v1")
bp.before_request(require_key)

for resource in (messages, phones, subscriptions, webhook):
    bp.register_blueprint(resource.bp)
