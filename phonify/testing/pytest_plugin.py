"""The plugin for pytest: the fixtures `phonify` and `phonify_server`.

pytest imports this module at the start of every run. The server, and with it Flask and marshmallow, is imported only by
the fixture that starts it.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .phonify import Phonify
    from .server import Server


@pytest.fixture(scope="session")
def phonify_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Server"]:
    """Serve in this process with a database of its own, once for each session (with xdist, for each worker)."""
    from .server import Server  # noqa: PLC0415 - see above

    with Server(tmp_path_factory.mktemp("phonify") / "phonify.db") as server:
        yield server


@pytest.fixture
def phonify(phonify_server: "Server", request: pytest.FixtureRequest) -> "Phonify":
    """Give each test an account with a key. It shows the messages that the app sends, and can answer as the phone."""
    return phonify_server.create_account(request.node.nodeid)
