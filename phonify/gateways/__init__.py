"""The gateways, by their names in PHONIFY_GATEWAY. Each gateway has its own file and one line in this module."""

from .base import Gateway
from .http import TemplateGateway
from .stub import StubGateway

GATEWAYS: dict[str, type[Gateway]] = {
    "stub": StubGateway,
    "http": TemplateGateway,
}
