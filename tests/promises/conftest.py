"""The fixture of the tests of faults with a gateway's peer."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.gateway_bench import GATEWAYS, Bench
from tests.support.servers import Process


@pytest.fixture(params=GATEWAYS)
def bench(request: pytest.FixtureRequest, tmp_path: Path, start: Callable[..., Process]) -> Iterator[Bench]:
    """A server that sends through each gateway in turn. Its peer is running; the test starts the server."""
    bench = Bench(request.param, tmp_path, start)
    try:
        bench.peer.start()
        yield bench
    finally:
        bench.close()
