"""The commands of the group `numbers`: which account gets the texts to a number."""

import json

import pytest

from phonify.gateways.events import Received

NUMBER, PHONE = "+442071838750", "+14560000000"


@pytest.fixture
def run(runner, make_key):
    """Return a function that runs a command of the group. There is an account `shop`."""
    make_key("shop")

    def run(*arguments: str, status: int = 0):
        result = runner.invoke(args=["numbers", *arguments])
        assert result.exit_code == status, result.output
        return result

    return run


def test_a_number_is_given_to_an_account_and_taken_away(run) -> None:
    assert run("add", NUMBER, "--account", "shop").stdout == (
        f"{NUMBER} belongs to the account 'shop'. Texts that waited for it: 0.\n"
    )
    assert json.loads(run("list", "--json").stdout) == {"number": NUMBER, "account": "shop"}
    assert run("remove", NUMBER).stdout == f"{NUMBER} belongs to no account any more.\n"
    assert run("list").stdout == "NUMBER  ACCOUNT\n"


def test_texts_that_have_waited_are_handed_over_and_counted(run, services, client) -> None:
    services.gateways["stub"].take([Received(PHONE, "One", "1", NUMBER), Received(PHONE, "Two", "2", NUMBER)])
    shown = json.loads(run("add", NUMBER, "--account", "default", "--json").stdout)
    assert shown == {"number": NUMBER, "account": "default", "former_account": None, "texts": 2}
    assert [message["body"] for message in client.get("/v1/messages").get_json()["messages"]] == ["Two", "One"]


def test_an_account_that_loses_its_number_is_named(run) -> None:
    run("add", NUMBER, "--account", "default")
    assert "'shop', and no longer to 'default'." in run("add", NUMBER, "--account", "shop").stdout
    assert "no longer" not in run("add", NUMBER, "--account", "shop").stdout


def test_the_list_may_be_of_one_account(run) -> None:
    run("add", NUMBER, "--account", "default")
    run("add", "72404", "--account", "shop")
    assert run("list", "--account", "shop").stdout.splitlines() == ["NUMBER  ACCOUNT", "72404   shop"]


DEFAULT = (
    "The account 'default' also receives the messages to +15005550006, because PHONIFY_ORIGIN contains this number.\n"
)


def test_the_list_says_that_the_default_account_also_gets_the_texts_to_the_server_s_sender(run) -> None:
    assert run("list").stderr == DEFAULT
    assert run("list", "--account", "default").stderr == DEFAULT
    assert run("list", "--account", "shop").stderr == ""
    run("add", "+15005550006", "--account", "shop")
    assert run("list").stderr == ""


def test_a_sender_in_letters_gets_no_texts(make_app) -> None:
    result = make_app(ORIGIN="SHOP").test_cli_runner().invoke(args=["numbers", "list"])
    assert (result.stdout, result.stderr) == ("NUMBER  ACCOUNT\n", "")


def test_a_number_that_no_account_has_can_not_be_removed(run) -> None:
    assert run("remove", NUMBER, status=1).stderr == f"Error: no account has the number {NUMBER}; see `numbers list`\n"


@pytest.mark.parametrize("given", ["", "hello", "Shop", "+1", "0207 183 8750"])
def test_what_no_phone_can_write_to_is_a_wrong_argument(run, given: str) -> None:
    assert (
        "must be an E.164 number with the plus sign, or a short code"
        in run("add", given, "--account", "shop", status=2).stderr
    )


def test_an_account_must_exist(run) -> None:
    assert "unknown account 'nobody'" in run("add", NUMBER, "--account", "nobody", status=2).stderr
