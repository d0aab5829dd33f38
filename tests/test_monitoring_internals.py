"""Request ids in records of logs, the formatter for JSON, and what the check of a file finds."""

import json
import logging
import sqlite3

import pytest

from phonify.errors import StoreUnavailable
from phonify.json_log import JsonFormatter
from phonify.monitoring_store import find_faults

# Request ids


def test_the_id_follows_a_message_to_its_delivery(client, deliver, caplog):
    caplog.set_level(logging.DEBUG, "phonify")
    client.post("/v1/messages", json={"to": "+15005550004", "body": "x"}, headers={"X-Request-Id": "the-one"})
    deliver()
    (record,) = [record for record in caplog.records if record.name == "phonify.dispatcher"]
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


def test_a_sound_file_has_no_faults(runtime, send):
    send()
    with runtime.database.reading() as connection:
        assert list(find_faults(connection)) == []


def test_counts_that_are_wrong_are_found(runtime, send):
    send()
    runtime.database.write(lambda connection: connection.execute("UPDATE message_counts SET messages = 7"))
    with runtime.database.reading() as connection:
        assert list(find_faults(connection)) == ["1 counts of messages are not what there are"] * 2


def test_rows_that_refer_to_nothing_are_found(runtime):
    with sqlite3.connect(runtime.database.path) as other:
        other.execute("INSERT INTO webhooks VALUES (99, 'u', 's', 't')")
    other.close()
    with runtime.database.reading() as connection:
        assert list(find_faults(connection)) == ["row 99 of webhooks refers to a row of accounts that is not there"]


def test_a_write_that_fails_is_told_as_unavailable(runtime, monkeypatch):
    monkeypatch.setattr("phonify.db.BUSY_TIMEOUT", 0.05)
    with sqlite3.connect(runtime.database.path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        runtime.database.close()
        with pytest.raises(StoreUnavailable):
            runtime.database.write_unsynced(
                lambda connection: connection.execute("UPDATE conversations_upto SET seq = 0")
            )
        other.execute("ROLLBACK")
    other.close()


def test_a_count_of_what_is_not_there_is_found(runtime, send):
    send()
    runtime.database.write(lambda connection: connection.execute("INSERT INTO message_counts VALUES (1, 10, 999, 5)"))
    with runtime.database.reading() as connection:
        assert list(find_faults(connection)) == ["1 counts of messages are not what there are"]
