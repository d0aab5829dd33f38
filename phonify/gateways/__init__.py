"""The gateways by their names in PHONIFY_GATEWAY. Each is one file, and one line here."""

from .base import Gateway
from .stub import StubGateway

GATEWAYS: dict[str, type[Gateway]] = {
    "stub": StubGateway,
}
