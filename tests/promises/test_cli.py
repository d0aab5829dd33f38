"""Tests of the command line: the effect of each command, its output for people and for scripts, its exit status."""

import json
import re
import signal
import sqlite3
import time
from pathlib import Path

import pytest
from flask import Flask

from tests.support.receivers import status

TO = "+14560000000"
ID = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


@pytest.fixture
def run(runner):
    """Return a function that runs a command. The command must end as expected, and without a traceback."""

    def run(*arguments: str, status: int = 0):
        result = runner.invoke(args=arguments)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert result.exit_code == status, result.output
        return result

    return run


@pytest.fixture
def show(run):
    """Return a function that runs a command with --json and returns the objects that it prints."""

    def show(*arguments: str, status: int = 0):
        return [json.loads(line) for line in run(*arguments, "--json", status=status).stdout.splitlines()]

    return show


# accounts


def test_an_account_is_created_and_the_next_step_named(run):
    assert run("accounts", "create", "shop").stdout == (
        "Account 'shop' created. Make a key for it with: keys create --account shop\n"
    )


def test_a_created_account_is_shown_as_json(show):
    assert show("accounts", "create", "shop", "--origin", "+447700900000") == [
        {
            "id": 2,
            "name": "shop",
            "origin": "+447700900000",
            "created_at": "2026-01-31T09:30:00.000Z",
            "quota": None,
            "rate_limit": None,
        }
    ]


def test_accounts_are_listed_in_columns(run):
    run("accounts", "create", "shop", "--origin", "SHOP")
    assert [line.rstrip() for line in run("accounts", "list").stdout.splitlines()] == [
        "ID  NAME     ORIGIN  QUOTA  RATE  CREATED",
        "1   default  -       -      -     2026-01-31T09:30:00.000Z",
        "2   shop     SHOP    -      -     2026-01-31T09:30:00.000Z",
    ]


def test_accounts_are_listed_as_json(run, show):
    run("accounts", "create", "shop", "--origin", "SHOP")
    assert [(account["id"], account["name"], account["origin"]) for account in show("accounts", "list")] == [
        (1, "default", None),
        (2, "shop", "SHOP"),
    ]


def test_the_sender_of_an_account_is_the_default_of_its_messages(run, show):
    run("accounts", "create", "shop", "--origin", "SHOP")
    (message,) = show("send", TO, "Hello", "--account", "shop")
    assert message["origin"] == {"number": "SHOP", "country": None, "carrier": None}


def test_an_account_that_is_there_already_is_a_failure(run):
    assert run("accounts", "create", "default", status=1).stderr == "Error: an account 'default' exists already\n"


@pytest.mark.parametrize("name", ["", "  ", "two\nlines", "\x1b[31mred"])
def test_a_name_that_can_not_be_printed_is_a_wrong_argument(run, name):
    assert "must be printable and not empty" in run("accounts", "create", name, status=2).stderr


def test_a_sender_that_is_none_is_a_wrong_argument(run, show):
    assert (
        "'447700900000' is not a valid sender"
        in run("accounts", "create", "x", "--origin", "447700900000", status=2).stderr
    )
    assert len(show("accounts", "list")) == 1


# keys


def test_a_created_key_is_printed_alone_so_that_a_script_can_take_it(run, app):
    result = run("keys", "create")
    assert re.fullmatch(r"phk_[A-Za-z0-9_-]{32}\n", result.stdout)
    assert result.stderr == "Key 2 of the account 'default'. It is shown only once.\n"
    client = app.test_client()
    client.key = result.stdout.strip()
    assert client.get("/v1/messages").status_code == 200


def test_a_created_key_is_shown_as_json(show):
    (key,) = show("keys", "create", "--name", "web")
    assert (key["id"], key["account"], key["name"], set(key)) == (2, "default", "web", {"id", "account", "name", "key"})
    assert key["key"].startswith("phk_")


def test_a_key_belongs_to_the_account_that_was_named(run, app):
    run("accounts", "create", "shop")
    run("send", TO, "Not for the shop")
    client = app.test_client()
    client.key = run("keys", "create", "--account", "shop").stdout.strip()
    assert client.get("/v1/messages").json == {"messages": []}


def test_keys_are_listed_in_columns_without_the_keys(run):
    key = run("keys", "create", "--name", "web").stdout.strip()
    run("keys", "revoke", "2")
    result = run("keys", "list")
    assert [line.rstrip() for line in result.stdout.splitlines()] == [
        "ID  ACCOUNT  NAME             CREATED                   LAST USED  REVOKED",
        "1   default  PHONIFY_API_KEY  2026-01-31T09:30:00.000Z  -          -",
        "2   default  web              2026-01-31T09:30:00.000Z  -          2026-01-31T09:30:00.000Z",
    ]
    assert key not in result.stdout


def test_keys_of_one_account_are_listed_as_json(run, show):
    run("accounts", "create", "shop")
    run("keys", "create", "--account", "shop", "--name", "till")
    assert show("keys", "list", "--account", "shop") == [
        {
            "id": 2,
            "account": "shop",
            "name": "till",
            "created_at": "2026-01-31T09:30:00.000Z",
            "revoked_at": None,
            "used_at": None,
        }
    ]
    assert len(show("keys", "list")) == 2


def test_a_revoked_key_is_refused_from_then_on(run, client):
    assert client.get("/v1/messages").status_code == 200
    assert run("keys", "revoke", "1").stdout == "Key 1 is no longer valid.\n"
    assert client.get("/v1/messages").status_code == 401


def test_a_key_that_is_not_there_or_revoked_already_can_not_be_revoked(run):
    assert run("keys", "revoke", "99", status=1).stderr == "Error: no valid key has the id 99; see `keys list`\n"
    run("keys", "revoke", "1")
    run("keys", "revoke", "1", status=1)


@pytest.mark.parametrize("key_id", ["0", "-1", "one", "99999999999999999999", "1.5"])
def test_what_is_no_number_of_a_key_is_a_wrong_argument(run, key_id):
    run("keys", "revoke", "--", key_id, status=2)


@pytest.mark.parametrize("command", [["keys", "create"], ["keys", "list"], ["send", TO, "Hello"], ["messages"]])
def test_an_account_that_is_not_there_is_a_wrong_argument(run, command):
    result = run(*command, "--account", "nobody", status=2)
    assert "unknown account 'nobody'; to list the accounts, use `accounts list`" in result.stderr


# send


def test_a_sent_message_is_shown_in_columns(run):
    lines = run("send", TO, "Hello").stdout.splitlines()
    assert lines[0].split() == ["CREATED", "ID", "STATE", "DETAIL", "FROM", ">", "TO", "BODY"]
    assert re.fullmatch(
        rf"2026-01-31T09:30:00\.000Z  {ID}  unconfirmed  -       \+15005550006 > \+14560000000  Hello", lines[1]
    )
    assert len(lines) == 2


def test_a_sent_message_is_the_one_that_the_api_shows(show, client):
    (message,) = show("send", TO, "Hello")
    assert client.get(f"/v1/messages/{message['id']}").json["message"] == message


def test_a_message_is_sent_to_each_number(show):
    messages = show("send", TO, "+447700900000", "+4915123456789", "Hello")
    assert [message["to"] for message in messages] == [TO, "+447700900000", "+4915123456789"]


def test_a_message_has_the_sender_and_the_time_that_were_given(show):
    (message,) = show("send", TO, "Hello", "--origin", "SHOP", "--send-at", "2026-02-01T09:30:00+01:00")
    assert (message["origin"]["number"], message["send_at"]) == ("SHOP", "2026-02-01T08:30:00.000Z")


def test_a_sent_message_is_delivered_by_the_next_dispatcher(show, deliver):
    show("send", TO, "Hello")
    deliver()
    assert [message["state"] for message in show("messages")] == ["sent"]


def test_a_number_that_the_gateway_refuses_is_a_failure_and_the_others_go_out(run, show):
    result = run("send", TO, "+15005550001", "Hello", "--json", status=1)
    assert [json.loads(line)["state"] for line in result.stdout.splitlines()] == ["unconfirmed", "error"]
    assert result.stderr == (
        "Nothing is delivered yet, because no server or worker is running on this database.\n"
        "Error: TO '+15005550001': The gateway refuses this number as invalid.\n"
    )
    assert len(show("messages")) == 2


@pytest.mark.parametrize(
    ("arguments", "faults"),
    [
        (["123", "Hello"], ["Error: TO: Not a valid E.164 number"]),
        ([TO, "456", "Hello"], ["Error: TO '456': Not a valid E.164 number"]),
        ([TO, ""], ["BODY: The text is empty"]),
        ([TO, "x" * 161], ["BODY: The text is too long"]),
        ([TO, "Hello", "--origin", "?"], ["--origin: Not a valid sender"]),
        ([TO, "Hello", "--send-at", "tomorrow"], ["--send-at: Not a valid time"]),
        (["123", "", "--send-at", "soon"], ["TO: ", "BODY: ", "--send-at: "]),
        ([TO], ["Missing argument"]),
        ([], ["Missing argument"]),
    ],
)
def test_wrong_arguments_are_all_named_and_nothing_is_stored(run, show, arguments, faults):
    result = run("send", *arguments, status=2)
    assert [fault for fault in faults if fault not in result.stderr] == []
    assert show("messages") == []


@pytest.mark.parametrize("typed", ["+1 456 000-0000", "001 456 000 0000", "tel:+1(456)000.0000"])
def test_numbers_are_taken_as_a_person_types_them(run, show, typed):
    (message,) = show("send", typed, "Hello", "--origin", "+49 1511 2345678")
    assert (message["to"], message["origin"]["number"]) == (TO, "+4915112345678")
    assert TO in show("subscriptions", "show", typed)[0].values()
    assert show("phones", "forget", typed)[0] == {"phone": TO, "removed": 1, "subscribed": True}
    assert show("numbers", "add", typed, "--account", "default")[0]["number"] == TO
    assert run("numbers", "remove", typed).stdout.startswith(TO)
    assert show("accounts", "create", "shop", "--origin", typed)[0]["origin"] == TO


def test_the_api_takes_only_e164(client):
    response = client.post("/v1/messages", json={"to": "+1 456 000-0000", "body": "Hello"})
    assert (response.status_code, response.json["errors"][0]["type"]) == (400, "invalid_msisdn")


# messages


def test_the_list_shows_receipts_errors_and_times_of_sending_beside_the_state(run, deliver):
    assert "  unconfirmed  scheduled for 2026-02-01T08:00:00.000Z  " in (
        run("send", TO, "Later", "--send-at", "2026-02-01T08:00:00Z").stdout
    )
    for number in (TO, "+15005550013", "+15005550004"):
        run("send", number, "Hello")
    deliver()
    assert [re.split(" {2,}", line)[2:4] for line in run("messages").stdout.splitlines()[1:]] == [
        ["unconfirmed", "scheduled for 2026-02-01T08:00:00.000Z"],
        ["sent", "-"],
        ["sent", "undelivered"],
        ["error", "blocked_by_recipient"],
    ]


def test_without_messages_only_the_heading_is_shown(run, show):
    assert run("messages").stdout.split() == ["CREATED", "ID", "STATE", "DETAIL", "FROM", ">", "TO", "BODY"]
    assert show("messages") == []


def test_the_latest_messages_are_listed_the_newest_last(run, show):
    for number in range(15):
        run("send", TO, f"Message {number}")
    assert [message["body"] for message in show("messages")] == [f"Message {number}" for number in range(5, 15)]
    assert [message["body"] for message in show("messages", "-n", "2")] == ["Message 13", "Message 14"]
    assert show("messages", "--limit", "0") == []


def test_messages_are_filtered_by_state_and_direction(run, show, client):
    run("send", TO, "Waiting")
    run("send", "+15005550001", "Refused", status=1)
    client.post("/sandbox/inbound", data={"from": TO, "to": "+15005550006", "body": "Received"})
    assert [message["body"] for message in show("messages", "--state", "error")] == ["Refused"]
    assert [message["body"] for message in show("messages", "--state", "sent")] == ["Received"]
    assert [message["body"] for message in show("messages", "--direction", "outbound")] == ["Waiting", "Refused"]


def test_messages_of_other_accounts_are_not_listed(run, show):
    run("accounts", "create", "shop")
    run("send", TO, "Hello")
    assert show("messages", "--account", "shop") == []


def test_a_text_with_control_characters_stays_on_its_line(run):
    run("send", TO, "two\nlines \x1b[31mred")
    lines = run("messages").stdout.splitlines()
    assert len(lines) == 2
    assert lines[1].endswith("  two\\nlines \\x1b[31mred")


def test_a_text_in_any_script_is_shown_as_it_is(run):
    run("send", TO, "Olá 你好 👋")
    assert run("messages").stdout.splitlines()[1].endswith("  Olá 你好 👋")


@pytest.mark.parametrize("arguments", [["-n", "-1"], ["-n", "1001"], ["--state", "lost"], ["--direction", "up"]])
def test_a_wrong_option_of_the_list_is_a_wrong_argument(run, arguments):
    run("messages", *arguments, status=2)


# init-db, backup


def test_the_database_is_said_to_be_ready(run, tmp_path):
    assert run("init-db").stdout == f"{tmp_path / 'phonify.db'} is ready.\n"


def test_a_backup_has_the_messages_and_can_be_served(run, show, tmp_path, make_app):
    (message,) = show("send", TO, "Hello")
    target = tmp_path / "copy.db"
    assert run("backup", str(target)).stdout == f"Backup written to {target}.\n"
    copy = make_app(DATABASE=target)
    result = copy.test_cli_runner().invoke(args=["messages", "--json"])
    assert json.loads(result.stdout) == message


def test_a_backup_to_a_file_that_exists_is_a_failure(run, tmp_path):
    target = tmp_path / "copy.db"
    target.write_text("precious")
    assert run("backup", str(target), status=1).stderr == f"Error: {target} exists already\n"
    assert target.read_text() == "precious"


@pytest.mark.parametrize("target", ["missing/copy.db", "file/copy.db"])
def test_a_backup_that_can_not_be_written_is_a_failure_told_in_one_line(run, tmp_path, target):
    (tmp_path / "file").touch()
    run("send", TO, "Hello")
    error = run("backup", str(tmp_path / target), status=1).stderr
    assert error.startswith(f"Error: {tmp_path / target} can't be written: ")
    assert error.count("\n") == 1


# A database that can't be written


@pytest.mark.parametrize(
    "command",
    [["send", TO, "Hello"], ["accounts", "create", "shop"], ["keys", "create"], ["keys", "revoke", "1"]],
    ids=["send", "accounts create", "keys create", "keys revoke"],
)
def test_a_locked_database_is_a_failure_told_in_one_line(run, lock_database, command):
    lock_database()
    error = run(*command, status=1).stderr
    assert error.startswith("Error: ")
    assert error.count("\n") == 1


# In separate processes


def read_states(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        return [state for (state,) in connection.execute("SELECT state FROM messages")]
    finally:
        connection.close()


@pytest.mark.slow
def test_followed_messages_are_printed_as_they_are_stored(start):
    start("-m", "flask", "--app", "app", "init-db").popen.wait(20)
    follow = start("-m", "flask", "--app", "app", "messages", "--follow", "--json")
    send = start("-m", "flask", "--app", "app", "send", TO, "First")
    assert send.popen.wait(20) == 0
    follow.wait_for('"body": "First"')
    start("-m", "flask", "--app", "app", "send", TO, "+447700900000", "Second").popen.wait(20)
    follow.wait_for('(?s)"body": "Second".*"body": "Second"')
    bodies = [(json.loads(line)["body"], json.loads(line)["to"]) for line in follow.output.splitlines()]
    assert bodies == [("First", TO), ("Second", TO), ("Second", "+447700900000")]


@pytest.mark.slow
def test_followed_messages_begin_with_the_latest_and_have_one_heading(start):
    start("-m", "flask", "--app", "app", "init-db").popen.wait(20)
    for number in range(3):
        start("-m", "flask", "--app", "app", "send", TO, f"Old {number}").popen.wait(20)
    follow = start("-m", "flask", "--app", "app", "messages", "--follow", "-n", "2")
    follow.wait_for("Old 2")
    start("-m", "flask", "--app", "app", "send", TO, "New").popen.wait(20)
    follow.wait_for("New\n")
    lines = follow.output.splitlines()
    assert [line.split()[-1] for line in lines] == ["BODY", "1", "2", "New"]


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_delivers_until_it_is_told_to_stop(start, tmp_path, how):
    worker = start("-m", "flask", "--app", "app", "worker")
    worker.wait_for("Delivering messages of .*phonify.db")
    start("-m", "flask", "--app", "app", "send", TO, "Hello").popen.wait(20)
    deadline = time.monotonic() + 20
    while read_states(tmp_path / "phonify.db") != ["sent"] and time.monotonic() < deadline:
        time.sleep(0.02)
    worker.popen.send_signal(how)
    assert worker.popen.wait(10) == 0
    assert read_states(tmp_path / "phonify.db") == ["sent"]
    assert "Traceback" not in worker.output


@pytest.mark.slow
def test_a_worker_posts_to_webhooks_and_commands_wake_it_by_themselves(start, receiver):
    worker = start("-m", "flask", "--app", "app", "worker")
    worker.wait_for("Delivering messages of .*phonify.db")
    start("-m", "flask", "--app", "app", "webhooks", "set", receiver.url).popen.wait(20)
    start("-m", "flask", "--app", "app", "send", TO, "Hello").popen.wait(20)
    (received,) = receiver.wait_for(1)
    assert json.loads(received.body)["type"] == "message.sent"
    assert worker.terminate() == 0


# webhooks


def test_a_webhook_is_set_and_shown_with_its_secret(run, show):
    run("accounts", "create", "shop")
    shown = run("webhooks", "set", "https://example.com/hook", "--account", "shop").stdout
    assert re.fullmatch(r"URL +SECRET\nhttps://example.com/hook +whsec_\S{32}\n", shown)
    (webhook,) = show("webhooks", "show", "--account", "shop")
    assert (webhook["url"], webhook["secret"] in shown) == ("https://example.com/hook", True)
    run("webhooks", "show", status=1)  # the account default has no webhook


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("example.com", "it must begin with https:// or http://"),
        ("http://169.254.169.254/", "addresses like 169.254.169.254 are not allowed"),
    ],
)
def test_a_url_that_can_not_be_posted_to_is_a_wrong_argument(run, url, reason):
    assert reason in run("webhooks", "set", url, status=2).stderr
    run("webhooks", "show", status=1)


def test_a_secret_is_rotated_and_a_webhook_removed(run, show):
    (first,) = show("webhooks", "set", "https://example.com/hook")
    (second,) = show("webhooks", "rotate")
    assert (first["url"], first["secret"] != second["secret"]) == (second["url"], True)
    assert run("webhooks", "remove").stdout == (
        "The webhook of the account 'default' was removed: https://example.com/hook\n"
    )
    assert run("webhooks", "remove").stdout == "The account 'default' had no webhook. Nothing was removed.\n"
    assert "has no webhook" in run("webhooks", "show", status=1).stderr


@pytest.mark.parametrize("command", ["rotate", "test"])
def test_without_a_webhook_that_is_said(run, command):
    assert run("webhooks", command, status=1).stderr == "Error: The account has no webhook. Set a webhook URL first.\n"


def test_deliveries_are_listed_and_redelivered(run, show, post_due, receiver):
    run("webhooks", "set", receiver.url)
    ids = [run("webhooks", "test").stdout.strip() for _ in range(3)]
    post_due()
    assert [one["id"] for one in show("webhooks", "deliveries", "-n", "2")] == ids[1:]
    (latest,) = show("webhooks", "deliveries", "-n", "1")
    assert (latest["event"], latest["state"]) == ("webhook.test", "delivered")
    assert [(attempt["attempt"], attempt["status"]) for attempt in latest["tries"]] == [(1, 204)]
    assert run("webhooks", "redeliver", ids[2]).stdout == f"Delivery {ids[2]} is posted again.\n"
    lines = run("webhooks", "deliveries").stdout.splitlines()
    assert [line.split()[1:5] for line in lines[1:]] == [
        [ids[0], "webhook.test", "delivered", "1"],
        [ids[1], "webhook.test", "delivered", "1"],
        [ids[2], "webhook.test", "pending", "1"],
    ]


def test_deliveries_are_listed_with_their_message_their_url_and_the_last_answer(run, show, deliver, post_due, receiver):
    run("webhooks", "set", receiver.url)
    receiver.act = status(500)
    (message,) = show("send", TO, "Hello")
    deliver()
    post_due()
    heading, line = run("webhooks", "deliveries").stdout.splitlines()
    assert heading.split()[6:] == ["MESSAGE", "URL", "LAST", "ANSWER"]
    assert line.split()[6:] == [message["id"], receiver.url, "500"]
    (delivery,) = show("webhooks", "deliveries")
    assert (delivery["message_id"], delivery["url"]) == (message["id"], receiver.url)


def test_a_delivery_of_another_account_is_not_redelivered(run, receiver):
    run("accounts", "create", "shop")
    for account in ("default", "shop"):
        run("webhooks", "set", receiver.url, "--account", account)
    delivery_id = run("webhooks", "test", "--account", "shop").stdout.strip()
    refused = run("webhooks", "redeliver", delivery_id, status=1)
    assert f"account default has no delivery {delivery_id}; see `webhooks deliveries`" in refused.stderr
    run("webhooks", "redeliver", delivery_id, "--account", "shop")


def test_wrong_settings_are_told_by_each_command_with_status_two(start):
    process = start("-m", "flask", "--app", "app", "accounts", "list", PORT="no", THREADS="0")
    assert process.popen.wait(20) == 2
    assert process.output == (
        "Error: these settings can't be used:\n"
        "  PHONIFY_PORT: 'no' must be a whole number from 0 to 65535\n"
        "  PHONIFY_THREADS: '0' must be a whole number from 1 to 256\n"
    )


def test_commands_are_there_for_every_app(make_app):
    app: Flask = make_app()
    assert {"accounts", "keys", "send", "messages", "worker", "init-db", "backup"} <= set(app.cli.commands)
