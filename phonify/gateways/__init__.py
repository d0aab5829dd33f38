"""Lists all gateways by name. The variable PHONIFY_GATEWAY contains one of these names.

Each gateway has its own file or package.
"""

from .android import AndroidGateway
from .base import Gateway
from .http import TemplateGateway
from .stub import StubGateway
from .twilio import TwilioGateway

_CLASSES: tuple[type[Gateway], ...] = (StubGateway, AndroidGateway, TemplateGateway, TwilioGateway)
GATEWAYS = {gateway.name: gateway for gateway in _CLASSES}
