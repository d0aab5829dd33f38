"""The gateways, and their names for the variable PHONIFY_GATEWAY. Each gateway has its own file or package."""

from .android import AndroidGateway
from .base import Gateway
from .http import TemplateGateway
from .stub import StubGateway
from .twilio import TwilioGateway

_CLASSES: tuple[type[Gateway], ...] = (StubGateway, AndroidGateway, TemplateGateway, TwilioGateway)
GATEWAYS = {gateway.name: gateway for gateway in _CLASSES}
