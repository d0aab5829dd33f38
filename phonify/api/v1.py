"""The parent blueprint of all resources under /v1.

Every request for a resource needs a key. The rate limit covers these requests. For an unknown path, the answer is 404.
For a wrong method, the answer is 405. These two answers do not depend on the key.
"""

from flask import Blueprint

from ..http.auth import require_key
from . import messages, phones, subscriptions, webhook

bp = Blueprint("v1", __name__, url_prefix="/v1")
bp.before_request(require_key)

for resource in (messages, phones, subscriptions, webhook):
    bp.register_blueprint(resource.bp)
