"""Tests of request ids in log records, of the JSON format, and of the check of a database file."""

import json
import logging
import sqlite3

from phonify.logs import JsonFormatter
from phonify.storage.monitoring import find_faults

# Request ids


def test_the_id_follows_a_message_to_its_delivery(client, deliver, caplog):
    caplog.set_level(logging.DEBUG, "phonify")
    client.post("/v1/messages", json={"to": "+15005550004", "body": "x"}, headers={"X-Request-Id": "the-one"})
    deliver()
    (record,) = [record for record in caplog.records if record.name == "phonify.delivery.calls"]
    assert record.request_id == "the-one"


# Logs as JSON


def test_a_log_line_is_one_json_object_with_what_was_given():
    record = logging.makeLogRecord(
        {
            "name": "phonify.x",
            "levelname": "INFO",
            "msg": "one\n%s",
            "args": ("two",),
            "created": 0.25,
            "message_id": "m",
        }
    )
    line = JsonFormatter().format(record)
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "1970-01-01T00:00:00.250Z",
        "level": "info",
        "logger": "phonify.x",
        "message": "one\ntwo",
        "message_id": "m",
    }


def test_a_traceback_is_on_the_same_line():
    try:
        raise ValueError("no")
    except ValueError as error:
        record = logging.makeLogRecord({"msg": "failed", "exc_info": (ValueError, error, error.__traceback__)})
    line = JsonFormatter().format(record)
    assert "\n" not in line
    assert json.loads(line)["traceback"].endswith("ValueError: no")


# The check of a whole file


def test_a_sound_file_has_no_faults(services, send):
    send()
    with services.database.reading() as connection:
        assert list(find_faults(connection)) == []


def test_conversations_without_their_latest_message_are_found(services, send):
    send()
    with services.database.write() as connection:
        connection.execute("UPDATE conversations SET last_seq = 7")
    with services.database.reading() as connection:
        assert list(find_faults(connection)) == ["1 conversations have no latest message"]


def test_rows_that_refer_to_nothing_are_found(services):
    with sqlite3.connect(services.database.path) as other:
        other.execute("INSERT INTO webhooks (account_id, url, secret, created_at) VALUES (99, 'u', 's', 't')")
    other.close()
    with services.database.reading() as connection:
        assert list(find_faults(connection)) == ["row 99 of webhooks refers to a missing row of accounts"]
