"""The gateways, by their names in PHONIFY_GATEWAY. Each gateway has its own file and one line in this module."""

from .android import AndroidGateway
from .base import Gateway
from .stub import StubGateway
from .twilio import TwilioGateway

GATEWAYS: dict[str, type[Gateway]] = {gateway.name: gateway for gateway in (StubGateway, AndroidGateway, TwilioGateway)}
