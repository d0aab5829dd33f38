"""An app for tests that can release messages. Its release gateway takes all messages and sends nothing."""

from phonify import create_app
from phonify.gateways import GATEWAYS
from phonify.server import serve
from tests.support.fake_gateway import FakeGateway

GATEWAYS["gateway"] = FakeGateway

if __name__ == "__main__":
    serve(create_app)
