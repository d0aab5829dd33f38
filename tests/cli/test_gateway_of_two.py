"""The commands of the group `gateway` on a server that has two gateways: the stub, and one that releases messages."""

import json
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from click.testing import Result
from flask import Flask

from phonify.gateways import GATEWAYS
from phonify.services import Services
from tests.support.fake_gateway import OnceGateway

TO, OTHER = "+14560000001", "+14560000002"
CHOSEN = (
    "This server has the gateways stub and gateway. The command uses gateway."
    " To choose the other gateway, use --gateway.\n"
)


@pytest.fixture
def app(make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch) -> Flask:
    monkeypatch.setitem(GATEWAYS, "gateway", OnceGateway)
    return make_app(RELEASE_GATEWAY="gateway", ONLY_TO=TO)


@pytest.fixture
def gateway(services: Services) -> OnceGateway:
    gateway = services.gateways["gateway"].gateway
    assert isinstance(gateway, OnceGateway)
    return gateway


@pytest.fixture
def run(runner) -> Callable[..., Result]:
    """Return a function that runs a command of the group. It must end with the given exit status."""

    def run(*arguments: str, status: int = 0) -> Result:
        result = runner.invoke(args=["gateway", *arguments])
        assert result.exit_code == status, result.output
        return result

    return run


@pytest.fixture
def delivering(services: Services) -> Iterator[None]:
    """Deliver in threads, as a server does."""
    threads = services.start_delivery(longest_nap=0.01)
    while not services.is_delivering():
        time.sleep(0.001)
    yield
    services.stop()
    for thread in threads:
        assert isinstance(thread, threading.Thread)
        thread.join()


@pytest.mark.parametrize("command", ["check", "pause", "resume"])
def test_without_the_option_the_gateway_that_sends_to_phones_is_meant_and_both_are_named(run, command: str) -> None:
    result = run(command)
    assert (result.stderr, "The gateway gateway" in result.stdout) == (CHOSEN, True)


@pytest.mark.parametrize("command", ["check", "pause", "resume"])
def test_the_option_chooses_the_other(run, command: str) -> None:
    result = run(command, "--gateway", "stub")
    assert (result.stderr, "The gateway stub" in result.stdout) == ("", True)


def test_a_shell_that_names_only_one_of_the_two_is_told_so(delivering, make_app: Callable[..., Flask], run) -> None:
    alone = make_app().test_cli_runner().invoke(args=["gateway", "status"])
    assert "was started at 2026-01-31T09:30:00.000Z with the gateway gateway and stub." in alone.stderr
    assert run("status").stderr == ""


def test_a_pause_names_the_command_that_ends_it(run) -> None:
    assert run("pause", "--gateway", "stub").stdout.endswith("To resume the gateway: `gateway resume --gateway stub`\n")


def test_the_state_is_of_both_or_of_the_chosen_one(run) -> None:
    def names(*options: str) -> list[str]:
        return [json.loads(line)["gateway"] for line in run("status", "--json", *options).stdout.splitlines()]

    assert names() == ["stub", "gateway"]
    assert names("--gateway", "gateway") == ["gateway"]
    assert "only: stub, gateway" in run("status", "--gateway", "other", status=2).stderr


@pytest.mark.usefixtures("delivering")
def test_one_text_is_sent_through_the_gateway_that_sends_to_phones(run, gateway, client) -> None:
    result = run("send", "+1 456 000-0001", "Hello", "--yes")
    assert result.stderr == CHOSEN
    assert "sends nothing to phones" not in result.stdout
    assert [(one.to, one.body) for one in gateway.handed] == [(TO, "Hello")]


@pytest.mark.usefixtures("delivering")
def test_one_text_may_be_sent_into_the_sandbox(run, gateway) -> None:
    assert "sends nothing to phones" in run("send", OTHER, "Hello", "--yes", "--gateway", "stub").stdout
    assert gateway.handed == []


@pytest.mark.usefixtures("delivering")
def test_a_number_outside_the_list_gets_no_text(run, gateway) -> None:
    assert "nothing was sent: This server sends only" in run("send", OTHER, "Hello", "--yes", status=1).stderr
    assert gateway.handed == []
