"""The commands of the group `gateway`: the state of the gateway, its check, its pauses, one text, texts that wait."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from click.testing import Result
from flask import Flask

from phonify import create_app
from phonify.gateways.base import Doubt, GatewayFault, Later, Refused, Taken
from phonify.gateways.events import Part, Received
from phonify.services import Services
from phonify.storage.process_lock import Owner
from tests.support.app import start_and_stop
from tests.support.fake_gateway import OnceGateway

TO, OWN, OTHER = "+14560000000", "+15005550006", "+442071838750"


class TalkingGateway(OnceGateway):
    """A gateway with answers to the operator."""

    fault: str | None = None

    def probe(self) -> str:
        if self.fault:
            raise GatewayFault(self.fault)
        return "version 1.2\n, ready"

    def register(self) -> Sequence[str]:
        if self.fault:
            raise GatewayFault(self.fault)
        return ["receipts: registered", "texts: registered"]


@pytest.fixture
def gateway() -> TalkingGateway:
    return TalkingGateway()


@pytest.fixture
def app(make_app: Callable[..., Flask], gateway: TalkingGateway) -> Flask:
    return make_app(gateway, GATEWAY_PER_SECOND="5", GATEWAY_PER_HOUR="100")


@pytest.fixture
def run(app: Flask) -> Callable[..., Result]:
    """Return a function that runs a command of the group. It must end with the given exit status."""

    def run(*arguments: str, status: int = 0, answer: str | None = None) -> Result:
        result = app.test_cli_runner().invoke(args=["gateway", *arguments], input=answer)
        assert result.exit_code == status, result.output
        return result

    return run


@pytest.fixture
def show(run: Callable[..., Result]) -> Callable[[], dict[str, Any]]:
    """Return a function that reads the state as JSON."""
    return lambda: json.loads(run("status", "--json").stdout)


# status


def test_a_gateway_that_was_never_used_says_so(run) -> None:
    lines = run("status").stdout.splitlines()
    assert [re.split(r"  +", line) for line in lines] == [
        ["Gateway", "gateway"],
        ["State", "has sent no message yet"],
        ["Last success", "-"],
        ["Last fault", "-"],
        ["Messages due", "0"],
        ["Messages in doubt", "0"],
        ["Look-ups due", "0"],
        ["Texts without account", "0"],
        ["SMS in a second", "0 of 5"],
        ["SMS in an hour", "0 of 100"],
    ]


def test_a_gateway_that_has_sent_works(show, send, deliver) -> None:
    send()
    deliver()
    shown = show()
    assert (shown["condition"], shown["last_success_at"]) == ("works", "2026-01-31T09:30:00.000Z")
    assert shown["limits"] == [{"seconds": 1, "most": 5, "used": 1}, {"seconds": 3600, "most": 100, "used": 1}]


def test_a_fault_is_shown_with_its_time_and_the_end_of_the_pause(run, show, gateway, send, deliver, clock) -> None:
    gateway.act = lambda _: Later(pause=True, retry_after=60, reason="wrong password")
    send()
    deliver()
    shown = show()
    assert shown["condition"] == "paused"
    assert (shown["last_fault"], shown["last_fault_at"]) == ("wrong password", "2026-01-31T09:30:00.000Z")
    assert (shown["paused_until"], shown["due"]) == ("2026-01-31T09:31:00.000Z", 1)
    assert "paused until 2026-01-31T09:31:00.000Z after a fault: wrong password" in run("status").stdout
    clock.advance(61)
    assert show()["condition"] == "failing"
    gateway.act = lambda _: Taken()
    deliver()
    shown = show()
    assert (shown["condition"], shown["last_fault"]) == ("works", "wrong password")


def test_messages_in_doubt_are_counted_until_they_are_settled(show, gateway, send, deliver, clock) -> None:
    gateway.act = lambda _: Doubt()
    send()
    send()
    deliver()
    assert (show()["in_doubt"], show()["due"]) == (2, 0)
    clock.advance(86_401)
    deliver()
    assert show()["in_doubt"] == 0


def test_a_message_that_is_being_sent_is_not_in_doubt(show, send, services) -> None:
    send()
    with services.database.write() as connection:
        running = services.gateways["gateway"]
        delivery = running.make_delivery(lease=services.settings.lease)
        assert len(delivery.claim(connection, "owner")) == 1
    assert (show()["in_doubt"], show()["due"]) == (0, 0)


def test_the_stub_works_but_says_that_it_sends_nothing(make_app) -> None:
    result = make_app().test_cli_runner().invoke(args=["gateway", "status"])
    assert "works, but sends nothing to phones" in result.stdout


def test_a_shell_without_the_variables_of_the_server_is_told_which_gateway_the_server_has_from_its_start_on(
    app, make_app
) -> None:
    start_and_stop(app)
    runner = make_app().test_cli_runner()
    hint = (
        "This command uses the gateway stub. The latest server on this database was started at"
        " 2026-01-31T09:30:00.000Z with the gateway gateway. Run the command with the variables of the server.\n"
    )
    for command in ("status", "check", "pause", "resume"):
        assert runner.invoke(args=["gateway", command]).stderr == hint
    assert json.loads(runner.invoke(args=["gateway", "status", "--json"]).stdout)["gateway"] == "stub"


def test_a_shell_is_told_nothing_of_a_gateway_that_the_server_had_before_its_latest_start(
    make_app, send, deliver, run
) -> None:
    start_and_stop(make_app(OnceGateway()))
    send()
    deliver()
    stub = make_app()
    start_and_stop(stub)
    assert stub.test_cli_runner().invoke(args=["gateway", "status"]).stderr == ""
    assert "was started at 2026-01-31T09:30:00.000Z with the gateway stub." in run("status").stderr


def test_a_shell_with_the_variables_of_the_server_is_told_nothing(make_app, run, send, deliver) -> None:
    start_and_stop(make_app(OnceGateway()))
    send()
    deliver()
    assert run("status").stderr == ""


# check and callbacks


def test_a_check_prints_one_line_and_sends_nothing(run, gateway) -> None:
    assert run("check").stdout == "The gateway gateway: version 1.2\\x0a, ready\n"
    assert gateway.handed == []


def test_a_check_that_fails_says_why(run, gateway) -> None:
    gateway.fault = "the password is wrong"
    assert run("check", status=1).stderr == "Error: the gateway gateway can't send: the password is wrong\n"


def test_callbacks_are_registered_and_each_is_named(run) -> None:
    assert run("callbacks").stdout == "receipts: registered\ntexts: registered\n"


def test_callbacks_that_can_not_be_registered_say_why(run, gateway) -> None:
    gateway.fault = "PHONIFY_PUBLIC_URL is missing"
    assert run("callbacks", status=1).stderr == "Error: the gateway gateway: PHONIFY_PUBLIC_URL is missing\n"


@pytest.mark.parametrize(("command", "status"), [("check", 0), ("callbacks", 1)])
def test_neither_check_nor_callbacks_needs_a_database(tmp_path, command: str, status: int) -> None:
    app = create_app({"DATABASE": tmp_path / "phonify.db"})
    result = app.test_cli_runner().invoke(args=["gateway", command])
    assert result.exit_code == status, result.output
    assert not (tmp_path / "phonify.db").exists()


def test_a_gateway_that_the_server_does_not_have_is_a_wrong_argument(run) -> None:
    message = run("check", "--gateway", "other", status=2).stderr
    assert "this server has no gateway 'other', only: gateway" in message


# pause and resume


def test_a_paused_gateway_gets_nothing_until_it_is_resumed(run, show, gateway, send, deliver) -> None:
    assert run("pause").stdout == "The gateway gateway is paused. To resume the gateway: `gateway resume`\n"
    send()
    deliver()
    assert (gateway.handed, show()["condition"]) == ([], "held")
    assert run("resume").stdout == "The gateway gateway gets messages again. Messages due: 1.\n"
    deliver()
    assert (len(gateway.handed), show()["condition"]) == (1, "works")


# texts


def test_texts_that_belong_to_no_account_are_listed(run, show, services) -> None:
    long = Received(TO, "half", "2", OTHER, part=Part("7", 2, 1))
    services.gateways["gateway"].take([Received(TO, "Hello\x1b[31m", "1", OTHER), Received(TO, "x", "3", None)])
    services.gateways["gateway"].take([long])
    shown = run("texts").stdout
    assert f"{TO} > {OTHER}  Hello\\x1b[31m" in shown
    assert f"{TO} > unknown" in shown
    assert "half" not in shown  # its other part may still come
    first = json.loads(run("texts", "--json").stdout.splitlines()[0])
    assert (first["sender"], first["to_number"], first["body"]) == (TO, OTHER, "Hello\x1b[31m")
    assert show()["texts_without_account"] == 2


# send


@pytest.fixture
def delivering(app: Flask) -> Iterator[None]:
    """Deliver in a thread, as a server does."""
    services: Services = app.extensions["phonify"]
    thread = threading.Thread(target=services.make_message_loop(longest_nap=0.01).run)
    thread.start()
    while not services.is_delivering():
        time.sleep(0.001)
    yield
    services.stop()
    thread.join()


@pytest.mark.usefixtures("delivering")
def test_one_text_is_sent_after_a_question(run, gateway, client) -> None:
    result = run("send", TO, "Hello", answer="y\n")
    assert "Send 1 SMS to +14560000000 through the gateway gateway? [y/N]" in result.stderr
    assert re.fullmatch(r"Message (\S+): sent\. What happens next: explain \1\n", result.stdout)
    assert [(message.to, message.body) for message in gateway.handed] == [(TO, "Hello")]
    (message,) = client.get("/v1/messages").get_json()["messages"]
    assert (message["state"], message["origin"]["number"]) == ("sent", OWN)


@pytest.mark.usefixtures("delivering")
def test_without_a_yes_nothing_is_sent(run, gateway, client) -> None:
    run("send", TO, "Hello", answer="n\n", status=1)
    assert (gateway.handed, client.get("/v1/messages").get_json()) == ([], {"messages": []})


@pytest.mark.usefixtures("delivering")
def test_a_script_asks_nothing_and_reads_json(run, gateway) -> None:
    shown = json.loads(run("send", TO, "Hello", "--from", OTHER, "--yes", "--json").stdout)
    assert (shown["state"], shown["origin"]["number"]) == ("sent", OTHER)


@pytest.mark.usefixtures("delivering")
@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        (Refused("cannot_receive_sms"), "failed, cannot_receive_sms"),
        (Doubt(), "in doubt. Nobody knows whether the gateway has taken it, and it is not sent again."),
    ],
)
def test_an_outcome_that_is_no_success_is_named_and_is_status_1(run, gateway, outcome, said: str) -> None:
    gateway.act = lambda _: outcome
    assert said in run("send", TO, "Hello", "--yes", status=1).stderr


@pytest.mark.usefixtures("delivering")
def test_a_text_that_is_not_sent_in_time_names_the_state_of_the_gateway(run, gateway) -> None:
    gateway.act = lambda _: Later(pause=True, retry_after=60, reason="wrong password")
    message = run("send", TO, "Hello", "--yes", "--wait", "0.3", status=1).stderr
    assert re.search(r"not sent yet\. The gateway gateway: paused until \S+ after a fault: wrong password", message)


def test_nothing_is_stored_if_nobody_delivers(run, client) -> None:
    message = run("send", TO, "Hello", "--yes", status=1).stderr
    assert message == "Error: nothing was sent, because no server or worker is running on this database\n"
    assert client.get("/v1/messages").get_json() == {"messages": []}


def test_nothing_is_stored_if_a_check_refuses(run, client, tmp_path, gateway) -> None:
    client.post(f"/v1/subscriptions/{TO}/unsubscribe")
    owner = Owner(tmp_path / "phonify.db")
    assert "nothing was sent: " in run("send", TO, "Hello", "--yes", status=1).stderr
    owner.close()
    assert client.get("/v1/messages").get_json() == {"messages": []}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("456", "Hello"), "TO: "),
        ((TO, ""), "TEXT: "),
        ((TO, "Hello", "--from", "???????????????"), "--from: "),
    ],
)
def test_wrong_arguments_are_named_as_the_help_names_them(run, arguments: tuple[str, ...], said: str) -> None:
    assert said in run("send", *arguments, status=2).stderr
