"""The gateways, by their names in PHONIFY_GATEWAY. Each gateway has its own file and one line in this module."""

from .android import AndroidGateway
from .base import Gateway
from .stub import StubGateway

GATEWAYS: dict[str, type[Gateway]] = {
    "stub": StubGateway,
    "android": AndroidGateway,
}
