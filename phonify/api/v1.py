"""The parent blueprint of all resources under /v1.

Every request for a resource needs a key. The rate limit covers these requests. An unknown path gets 404 and a wrong
method gets 405, with and without a key.
"""

from flask import Blueprint

from ..http.auth import require_key
from . import messages, phones, subscriptions, webhook

bp = Blueprint("v1", __name__, url_prefix="/v1")
bp.before_request(require_key)

for resource in (messages, phones, subscriptions, webhook):
    bp.register_blueprint(resource.bp)
