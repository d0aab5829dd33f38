"""The parent blueprint of /sandbox. It is registered only if the gateway is a sandbox."""

from flask import Blueprint

from ..http.auth import require_key
from . import lab, messages, problems, rules, runs, texts

bp = Blueprint("sandbox", __name__, url_prefix="/sandbox")
bp.before_request(require_key)

for resource in (texts, messages, problems, rules, runs, lab):
    bp.register_blueprint(resource.bp)
