"""The plugin for pytest: the fixtures `phonify`, `phonify_server` and `phonify_twilio`.

Whenever pytest starts, it imports this module. So this module does not import the server, Flask or marshmallow. A
fixture imports them when it starts a server. If PHONIFY_URL is set, the fixtures use the server at that URL and start
no server.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .client import Phonify
    from .elsewhere import Elsewhere
    from .server import Server
    from .twilio_sdk import TwilioAccount


@pytest.fixture(scope="session")
def phonify_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Server | Elsewhere"]:
    """Start one server in the test process, with its own database. With xdist, each worker process has one server.

    If PHONIFY_URL is set, start no server. Use the server at that URL, with the key in PHONIFY_API_KEY.
    """
    if url := os.environ.get("PHONIFY_URL"):
        from .elsewhere import Elsewhere  # noqa: PLC0415 - see above

        key = os.environ.get("PHONIFY_API_KEY")
        if not key:
            pytest.fail("Set PHONIFY_API_KEY to a key of the server at PHONIFY_URL", pytrace=False)
        with _failing_clearly():
            elsewhere = Elsewhere(url, key)
        yield elsewhere
        with _failing_clearly():
            elsewhere.end()
        return

    with _failing_clearly():
        from .server import Server  # noqa: PLC0415 - see above

    with Server(tmp_path_factory.mktemp("phonify") / "phonify.db") as server:
        yield server


@pytest.fixture
def phonify(phonify_server: "Server | Elsewhere", request: pytest.FixtureRequest) -> Iterator["Phonify"]:
    """Give each test its own account.

    With this account, a test can read the app's messages. The test can also simulate a phone that replies to the app.
    If a test has changed the clock, the fixture resets the clock after the test.
    """
    from .client import Run  # noqa: PLC0415 - see above

    with _failing_clearly():
        account = phonify_server.create_account(request.node.nodeid)
    yield account
    with _failing_clearly():
        if account.clock.changed:
            account.clock.reset()
        if isinstance(account, Run):
            account.end()


@pytest.fixture
def phonify_twilio(phonify: "Phonify") -> Iterator["TwilioAccount"]:
    """Redirect the requests of the installed package `twilio` to Phonify. The app needs no change.

    The requests use the account of the fixture `phonify`. If the environment variable TWILIO_AUTH_TOKEN is set, Phonify
    signs the webhooks with this token.
    """
    from .twilio_sdk import TwilioAccount, redirecting  # noqa: PLC0415 - see above

    with _failing_clearly():
        account = TwilioAccount(phonify)
    with redirecting(account):
        yield account


@contextmanager
def _failing_clearly() -> Iterator[None]:
    """If the client raises an error or a package is missing, show the reason in one line, without a traceback."""
    from .client import PhonifyError  # noqa: PLC0415 - see above

    try:
        yield
    except (PhonifyError, ValueError) as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None
    except ImportError as error:
        needs = "Install Phonify with the packages that it needs, or set PHONIFY_URL to the URL of a running server"
        reason = f"the server can't be started here: {error}. {needs}"
        raise pytest.fail.Exception(reason, pytrace=False) from None
