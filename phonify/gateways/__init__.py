"""The gateways by the name that PHONIFY_GATEWAY has: one file each, one line here."""

from .base import Gateway
from .stub import StubGateway

GATEWAYS: dict[str, type[Gateway]] = {
    "stub": StubGateway,
}
