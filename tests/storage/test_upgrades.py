"""Tests of starts with different files: new files, files of earlier versions (they lose nothing), and other files."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from phonify.storage.database import Database
from phonify.storage.monitoring import find_faults
from phonify.storage.upgrades import APPLICATION_ID, SCHEMA_VERSION, DatabaseUnusable, find_schema, prepare
from tests.support.app import ROOT
from tests.support.load import wait_until

EARLIER = range(1, SCHEMA_VERSION)
Rows = dict[str, list[dict[str, Any]]]  # by table


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "phonify.db"


def start(path: Path) -> None:
    """Prepare the file as a start does, and close it."""
    database = Database(path)
    try:
        prepare(database)
    finally:
        database.close()


def execute(path: Path, statement: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(statement).fetchall()


# Earlier versions: every table has rows, and every row is compared

PHONE, OTHER, OWN = "+14560000000", "+14560000001", "+15005550006"
SENT = {"state": "sent", "finished_at": "t1", "attempts": 1}
FAILED = {"state": "error", "error_type": "cannot_receive_sms", "finished_at": "t1", "attempts": 1}
WAITING = {"state": "unconfirmed", "due_at": "t1", "expires_at": "t9"}
SCHEDULED = {"state": "unconfirmed", "send_at": "t5", "due_at": "t5", "expires_at": "t9"}
LEASED = {"state": "unconfirmed", "due_at": "t2", "expires_at": "t9", "attempts": 1, "submitted_at": "t1"}
IN_DOUBT = {"state": "unconfirmed", "due_at": "t9", "expires_at": "t9", "attempts": 1, "submitted_at": "t1"}
FOR_THE_WEBHOOK = {"state": "unconfirmed"}
# The seqs 5 and 11 belonged to removed messages.
MESSAGES = [
    (1, 1, "outbound", PHONE, SENT),
    (2, 1, "inbound", PHONE, SENT),
    (3, 1, "outbound", OTHER, FAILED),
    (4, 1, "outbound", "+14560000002", WAITING),
    (6, 2, "outbound", PHONE, LEASED),
    (7, 2, "inbound", "SHOP", SENT),
    (8, 1, "inbound", OTHER, FOR_THE_WEBHOOK),
    (9, 1, "outbound", OWN, SCHEDULED),
    (10, 2, "outbound", OTHER, IN_DOUBT),
    (200_000, 1, "outbound", PHONE, SENT),
    (600_000, 2, "outbound", PHONE, SENT),
]
# The conversations after a visit to the inbox. After the visit, more messages arrived and some were removed.
CONVERSATIONS = [
    (1, PHONE, 200_000, 2),  # as it is
    (1, "+14560000002", 5, 5),  # the latest message was removed, and was read
    (1, OTHER, 3, 3),  # one message has arrived since
    (1, "+14560000003", 11, 0),  # the only message was removed
    (1, "+14560000004", 8, 8),  # the latest message was moved to another number
    (1, "SHOP", 7, 0),  # the latest message is another account's
    (2, PHONE, 6, 5),
    (2, OTHER, 600_000, 600_000),  # the latest message is another number's
    (3, PHONE, 1, 1),  # of an account without messages
]


def compose_message(seq: int, account_id: int, direction: str, phone: str, state: dict[str, Any]) -> dict[str, Any]:
    origin, to = (OWN, phone) if direction == "outbound" else (phone, OWN)
    message = {"seq": seq, "id": f"id-{seq}", "account_id": account_id, "direction": direction, "body": f"Olá {seq} 👋"}
    numbers = {"origin_number": origin, "origin_country": "US", "to_number": to, "to_carrier": "Optus"}
    return {**message, **numbers, "created_at": "t0", "attempts": 0, "request_id": f"request-{seq}", **state}


def compose_delivery(seq: int, **state: Any) -> dict[str, Any]:
    delivery = {"id": f"event-{seq}", "account_id": 1, "event": "message.sent", "payload": '{"a": "ß"}'}
    return {"seq": seq, **delivery, "created_at": "t0", **state}


ROWS: Rows = {
    "accounts": [
        {"id": 1, "name": "default", "created_at": "t0"},
        {"id": 2, "name": "shop", "origin": "SHOP", "created_at": "t1", "quota": 5, "rate_limit": 0},
        {"id": 3, "name": "idle", "created_at": "t1"},
    ],
    "api_keys": [
        {"account_id": 1, "name": "mine", "key_hash": "h1", "created_at": "t0", "used_at": "t2"},
        {"account_id": 2, "name": "", "key_hash": "h2", "created_at": "t0", "revoked_at": "t1"},
    ],
    "messages": [compose_message(*message) for message in MESSAGES],
    "idempotency_keys": [
        {"account_id": account, "key": "k", "request_hash": "h", "status": 201, "answer": "{}", "created_at": "t0"}
        for account in (1, 2)
    ],
    "quota_days": [{"account_id": 2, "day": "2026-01-31", "messages": 3}],
    "rate_minutes": [{"account_id": 2, "minute": 29_000_000, "requests": 3}],
    "keyword_replies": [{"account_id": 1, "stop_keywords": "ENDE\nNO MORE", "help_reply": "Call us"}],
    "subscriptions": [
        {"account_id": 1, "phone": PHONE, "subscribed": 0, "reason": "keyword", "changed_at": "t1"},
        {"account_id": 2, "phone": PHONE, "subscribed": 1, "reason": "inbox", "changed_at": "t2"},
    ],
    "message_attempts": [
        {"message_id": "id-3", "attempt": 1, "at": "t1", "outcome": "rejected"},
        {"message_id": "id-4", "attempt": 1, "at": "t1", "outcome": "unavailable", "due_at": "t2"},
    ],
    "conversations": [
        dict(zip(("account_id", "phone", "last_seq", "read_seq"), conversation, strict=True))
        for conversation in CONVERSATIONS
    ],
    "webhooks": [{"account_id": 1, "url": "https://example.com/", "secret": "whsec_x", "created_at": "t0"}],
    "webhook_deliveries": [
        compose_delivery(1, message_id="id-1", state="delivered", attempts=1, finished_at="t1"),
        compose_delivery(2, message_id="id-3", state="failed", attempts=12, retries=11, finished_at="t1"),
        compose_delivery(3, state="pending", due_at="t2", attempts=1),
    ],
    "webhook_attempts": [
        {"delivery_id": "event-1", "attempt": 1, "at": "t1", "took_ms": 5, "status": 204, "answer": ""},
        {"delivery_id": "event-3", "attempt": 1, "at": "t1", "took_ms": 9, "error": "no answer"},
    ],
    "sign_in_links": [{"token_hash": "h3", "account_id": 1, "created_at": "t0", "expires_at": "t9"}],
    "sessions": [
        {"account_id": 1, "token_hash": "h4", "key_id": 1, "created_at": "t0", "expires_at": "t9"},
        {"account_id": 1, "token_hash": "h5", "created_at": "t0", "expires_at": "t9"},
    ],
    "runs": [{"account_id": 3, "id": "run-1", "creator_id": 1, "created_at": "t0", "expires_at": "t9"}],
    "front_accounts": [{"account_id": 1, "auth_token": "token", "inbound_url": "https://example.com/"}],
    "front_messages": [{"message_id": "id-1", "service_sid": "MG1", "parameters": '{"a": "ß"}'}],
    "front_refusals": [
        {"account_id": 1, "at": "t1", "to_number": "1", "origin": "2", "body": "ß", "code": 21211, "meaning": "wrong"}
    ],
    "message_parts": [{"message_id": "id-1", "part": 1, "gateway": "peer", "reference": "ref-1"}],
    "receipts": [
        {"gateway": "peer", "event_id": "event-1", "status": "sent", "code": "", "partial": 0, "at": "t1"}
        | {"message_id": "id-1", "received_at": "t1"}
    ],
    "look_ups": [{"message_id": "id-1", "due_at": "t9", "tries": 1}],
    "numbers": [{"number": OWN, "account_id": 1, "created_at": "t0"}],
    "received_texts": [
        {"gateway": "peer", "event_id": "event-2", "sender": PHONE, "body": "ß", "at": "t1", "received_at": "t1"}
    ],
    "gateways": [{"name": "peer", "held": 1, "faults": 0}],
    "gateway_sends": [{"gateway": "peer", "at": "t1", "parts": 2}],
    "labs": [
        {"account_id": 1, "id": "lab-1", "form": "standard", "started_at": "t1", "until": "t9", "trial": "events"}
    ],
    "server_clock": [{"id": 1, "ahead_ms": 60_000, "frozen_at": "t5"}],
    "rules": [
        {"id": "rule-1", "account_id": 1, "position": 1, "contains": "ß", "direction": "outbound", "seed": 7}
        | {"outcome": "reply", "seconds": 0.5, "times": 1, "reply": "Ja 👋", "seen": 3, "used": 2}
    ],
    "met_rules": [
        {"message_id": "id-1", "rule_id": "rule-1", "outcome": "reply", "seconds": 0.5, "times": 1, "due_at": "t2"},
        {"message_id": "id-10", "rule_id": "+15005550012", "outcome": "unconfirmed", "seconds": 0, "times": 1},
    ],
}


# The values of new columns in old rows, if they are not NULL.
DEFAULTS = {("webhook_deliveries", "kind"): "standard"}


def create_earlier(path: Path, version: int) -> None:
    """Create a file of an earlier version, with rows in each of its tables."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(
            (ROOT / f"tests/storage/former_schemas/version-{version}.sql").read_text(encoding="utf-8")
        )
        connection.executescript(f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {version};")
        given = {**ROWS, "conversations": compute_conversations(ROWS)} if version >= 4 else ROWS
        for table, rows in given.items():
            columns = {name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")}
            for row in rows:
                known = {name: value for name, value in row.items() if name in columns}
                names, holes = ", ".join(known), ", ".join("?" * len(known))
                if columns:
                    connection.execute(f"INSERT INTO {table} ({names}) VALUES ({holes})", [*known.values()])
    empty = [table for table, rows in read_rows(path).items() if not rows]
    assert empty == [], f"add a row to ROWS for each of these tables: {', '.join(empty)}"


def read_rows(path: Path) -> Rows:
    """Return all rows of all tables."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        tables = [row["name"] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return {table: [dict(row) for row in connection.execute(f"SELECT * FROM {table}")] for table in sorted(tables)}


def compute_conversations(old: Rows) -> list[dict[str, Any]]:
    """Return the conversations that fit the messages.

    Read messages stay read, but later messages do not count as read.
    """
    last: dict[tuple[int, str], int] = {}
    for message in sorted(old["messages"], key=lambda message: message["seq"]):
        phone = message["to_number"] if message["direction"] == "outbound" else message["origin_number"]
        last[message["account_id"], phone] = message["seq"]
    read = {(one["account_id"], one["phone"]): one["read_seq"] for one in old.get("conversations", [])}
    return [
        {"account_id": key[0], "phone": key[1], "last_seq": seq, "read_seq": min(read.get(key, 0), seq)}
        for key, seq in sorted(last.items())
    ]


def compute_upgraded(old: Rows, new: Rows) -> Rows:
    """Return the expected rows after an upgrade of the given rows to the current tables and columns."""
    upgraded = {
        table: [
            {name: row.get(name, DEFAULTS.get((table, name))) for name in (rows[0] if rows else row)}
            for row in old.get(table, [])
        ]
        for table, rows in new.items()
    }
    return {**upgraded, "conversations": compute_conversations(old)}


@pytest.mark.parametrize("version", EARLIER)
def test_the_rows_of_an_earlier_version_are_all_there_unchanged(path, version):
    create_earlier(path, version)
    old = read_rows(path)
    start(path)
    new = read_rows(path)
    assert set(old) - set(new) <= {"message_counts", "conversations_upto"}
    assert new == compute_upgraded(old, new)
    assert len(new["conversations"]) == 7
    with closing(sqlite3.connect(path)) as connection:
        assert list(find_faults(connection)) == []
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)


def test_each_message_of_version_6_gets_the_name_of_its_gateway(path):
    create_earlier(path, 6)
    given = {1: ("stub", None), 3: ("peer", None), 10: ("peer", None), 200_000: ("phone", "phone")}
    for seq, (submitted_to, gateway) in given.items():
        values = ", ".join("NULL" if value is None else f"'{value}'" for value in (submitted_to, gateway))
        execute(path, f"UPDATE messages SET (submitted_to, gateway) = ({values}) WHERE seq = {seq}")
    execute(path, "INSERT INTO look_ups VALUES ('id-10', 't9', 0)")
    start(path)
    assert dict(execute(path, "SELECT seq, gateway FROM messages WHERE gateway IS NOT NULL")) == {
        1: "stub",
        3: "peer",
        10: "peer",
        200_000: "phone",
        # No gateway has got the following ones. The server's gateway was `peer`, which got the last message.
        4: "peer",
        6: "peer",
        9: "peer",
    }
    assert execute(path, "SELECT message_id, gateway FROM look_ups ORDER BY 1") == [("id-1", "stub"), ("id-10", "peer")]


def read_layout(path: Path) -> dict[str, Any]:
    """Return the definitions of tables, indexes and triggers. The order of columns does not matter."""
    layout: dict[str, Any] = {}
    for kind, name, sql in execute(path, "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL"):
        plain = " ".join(re.sub(r"--[^\n]*", "", sql).split())
        if kind == "table":
            definitions, _, options = plain.partition("(")[2].rpartition(")")
            parts = re.split(r",(?![^(]*\))", definitions)  # at commas outside parentheses
            layout[name] = {part.strip() for part in parts} | {options}
        else:
            layout[name] = plain
    return layout


@pytest.mark.parametrize("version", EARLIER)
def test_an_earlier_version_gets_the_layout_of_a_new_file(path, tmp_path, version):
    create_earlier(path, version)
    for each in (path, tmp_path / "new.db"):
        start(each)
    assert read_layout(path) == read_layout(tmp_path / "new.db")


def test_there_is_a_file_for_each_earlier_version():
    files = sorted((ROOT / "tests/storage/former_schemas").glob("version-*.sql"))
    assert [file.stem for file in files] == [f"version-{version}" for version in EARLIER]


def test_an_upgrade_that_fails_leaves_the_old_file(path):
    create_earlier(path, 3)
    execute(path, "DROP TABLE message_counts")
    layout, rows = read_layout(path), read_rows(path)
    with pytest.raises(DatabaseUnusable, match="no such table: message_counts"):
        start(path)
    assert (read_layout(path), read_rows(path)) == (layout, rows)
    assert execute(path, "PRAGMA user_version") == [(3,)]


# Files that are not upgraded, or not used at all


@contextmanager
def holding(path: Path, *statements: str) -> Iterator[None]:
    """Have the file open in another program, which has done these statements."""
    code = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None)"
    code += "; [c.execute(s).fetchall() for s in sys.argv[2:]]; print('open', flush=True); sys.stdin.readline()"
    command, pipe = [sys.executable, "-c", code, str(path), *statements], subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield
        process.kill()


@pytest.mark.parametrize(
    "statements",
    [
        ["SELECT * FROM accounts"],  # a server or a shell that does nothing at the moment
        ["BEGIN", "SELECT * FROM accounts"],  # as Litestream does
        ["BEGIN IMMEDIATE", "UPDATE accounts SET origin = 'X'"],
    ],
)
@pytest.mark.parametrize("version", EARLIER)
def test_an_upgrade_is_refused_while_another_program_has_the_file_open(path, version, statements):
    create_earlier(path, version)
    layout, old = read_layout(path), read_rows(path)
    with holding(path, *statements):
        with pytest.raises(DatabaseUnusable, match="can't be upgraded while another program has it open") as refused:
            start(path)
        assert "\n" not in str(refused.value)
    assert (read_layout(path), read_rows(path)) == (layout, old)
    assert execute(path, "PRAGMA journal_mode") == [("wal",)]
    start(path)
    assert read_rows(path) == compute_upgraded(old, read_rows(path))


def test_a_file_is_in_wal_mode_after_an_upgrade_and_after_a_start_on_a_copy_in_another_mode(path):
    create_earlier(path, 3)
    for _ in range(2):
        start(path)
        assert execute(path, "PRAGMA journal_mode") == [("wal",)]
        execute(path, "PRAGMA journal_mode = DELETE")


def test_a_current_file_is_used_while_another_program_has_it_open(path):
    start(path)
    with holding(path, "BEGIN", "SELECT * FROM accounts"):
        start(path)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("ALTER TABLE messages DROP COLUMN key_id", "in the table messages: key_id missing"),
        ("ALTER TABLE webhooks ADD COLUMN color TEXT", "in the table webhooks: color unknown"),
        ("ALTER TABLE accounts RENAME COLUMN quota TO most", "in the table accounts: quota missing; most unknown"),
        ("DROP TABLE front_refusals", "in the table front_refusals: account_id, at, "),
    ],
)
def test_a_file_with_the_right_version_but_other_columns_is_refused_in_one_line(path, change, fault):
    start(path)
    execute(path, change)
    with pytest.raises(DatabaseUnusable) as refused:
        start(path)
    assert f"{path}: has version {SCHEMA_VERSION}, but other columns {fault}" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_table_of_another_program_in_the_file_is_no_fault(path):
    start(path)
    execute(path, "CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER)")
    start(path)


# A start in a separate process. It stops at a statement of the upgrade until it reads a line

START = """
import sqlite3, sys
from pathlib import Path
from phonify.storage.database import Database
from phonify.storage.upgrades import prepare

connect = sqlite3.connect

def connect_and_stop(*arguments, **options):
    def trace(statement):
        if connection.in_transaction and sys.argv[2] in statement:
            print("in the middle", flush=True)
            sys.stdin.readline()

    connection = connect(*arguments, **options)
    connection.set_trace_callback(trace)
    connection.execute("PRAGMA cache_size = 5")  # so that the file is written long before the end
    return connection

sqlite3.connect = connect_and_stop
database = Database(Path(sys.argv[1]))
prepare(database)
print("ready", flush=True)
database.close()
"""
# Statements, each with the new version of its upgrade step.
STATEMENTS = {
    "DROP TABLE message_counts": 4,
    "INSERT INTO conversations": 4,
    "ADD COLUMN disabled_at": 5,
    "ADD COLUMN former_secret": 6,
    "ADD COLUMN released_from": 7,
    "PRAGMA user_version = ": SCHEMA_VERSION,
}


@pytest.fixture
def start_process(path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def start_process(stop_at: str = "nowhere") -> subprocess.Popen[str]:
        command = [sys.executable, "-c", START, str(path), stop_at]
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True))
        return started[-1]

    yield start_process
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("version", EARLIER)
def test_after_a_kill_in_the_middle_of_an_upgrade_the_old_file_is_there_and_the_next_start_upgrades_it(
    path, start_process, version
):
    create_earlier(path, version)
    layout, old = read_layout(path), read_rows(path)
    for stop_at in (statement for statement, step in STATEMENTS.items() if step > version):
        process = start_process(stop_at)
        assert process.stdout.readline() == "in the middle\n"
        process.kill()
        process.wait()
        assert (read_layout(path), read_rows(path)) == (layout, old)
        assert execute(path, "PRAGMA user_version") == [(version,)]
    start(path)
    new = read_rows(path)
    assert new == compute_upgraded(old, new)


def waits_for_the_lock(pid: int) -> bool:
    with suppress(FileNotFoundError):  # the process opens and closes files while it starts
        return any(os.readlink(link).endswith("phonify.db-lock") for link in Path(f"/proc/{pid}/fd").iterdir())
    return False


@pytest.mark.slow
def test_processes_that_start_at_once_on_an_old_file_all_come_up(path, start_process):
    create_earlier(path, 3)
    old = read_rows(path)
    first = start_process(stop_at="INSERT INTO conversations")
    assert first.stdout.readline() == "in the middle\n"
    others = [start_process() for _ in range(2)]
    for process in others:
        wait_until(lambda: waits_for_the_lock(process.pid))
    first.stdin.write("\n")
    first.stdin.flush()
    for process in (first, *others):
        assert process.stdout.readline() == "ready\n"
        assert process.wait() == 0
    new = read_rows(path)
    assert new == compute_upgraded(old, new)


# New files


def test_a_new_file_has_the_schema_and_can_be_read_by_its_owner_alone(path):
    start(path)
    assert execute(path, "PRAGMA user_version") == [(SCHEMA_VERSION,)]
    assert execute(path, "PRAGMA journal_mode") == [("wal",)]
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "phonify.db",
        "phonify.db-lock",
    ]


def test_an_empty_file_becomes_a_database_and_the_schema_can_be_run_again(path):
    path.touch()
    start(path)
    layout = read_layout(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(find_schema().read_text(encoding="utf-8"))
    assert read_layout(path) == layout


def test_a_file_that_is_up_to_date_is_left_as_it_is(path):
    start(path)
    execute(path, "INSERT INTO accounts (name, created_at) VALUES ('default', 't')")
    before = path.read_bytes()
    start(path)
    assert path.read_bytes() == before


def test_many_databases_that_prepare_one_new_file_at_once_all_succeed(path):
    faults = []

    def work() -> None:
        try:
            start(path)
        except DatabaseUnusable as error:
            faults.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert execute(path, "PRAGMA user_version") == [(SCHEMA_VERSION,)]


def test_a_path_with_characters_that_mean_something_in_addresses_is_one_file(tmp_path):
    strange = tmp_path / "notes?mode=ro&x=%41#y é.db"
    start(strange)
    assert sorted(file.name for file in tmp_path.iterdir()) == [strange.name, f"{strange.name}-lock"]


# Files that are refused


def refuse(path: Path) -> str:
    """Return the reason why a file can't be prepared. The text must be one line with the path."""
    with pytest.raises(DatabaseUnusable) as raised:
        start(path)
    message = str(raised.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message.removeprefix(f"{path}: ")


def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(path):
    path.write_bytes(b"Dear diary, " * 1_000)
    assert refuse(path) == "file is not a database"
    assert path.read_bytes() == b"Dear diary, " * 1_000


def test_a_database_of_another_application_is_refused_and_left_as_it_is(path):
    execute(path, "CREATE TABLE bookmarks (address TEXT)")
    before = path.read_bytes()
    assert refuse(path) == "a SQLite file, but not a Phonify database"
    assert path.read_bytes() == before


def test_a_database_of_a_newer_version_is_refused_and_left_as_it_is(path):
    start(path)
    execute(path, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    before = path.read_bytes()
    expected = (
        f"written by a newer version of Phonify (the file has version {SCHEMA_VERSION + 1};"
        f" this Phonify reads versions up to {SCHEMA_VERSION})"
    )
    assert refuse(path) == expected
    assert path.read_bytes() == before


def test_a_folder_that_is_missing_is_refused_and_not_made(tmp_path):
    assert refuse(tmp_path / "missing" / "phonify.db") == "No such file or directory"
    assert not (tmp_path / "missing").exists()


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path):
    assert refuse(tmp_path) == "Is a directory"


def test_a_path_through_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    assert refuse(tmp_path / "file" / "phonify.db") == "Not a directory"


# Root may write everywhere. So these tests run without that privilege.
UNPRIVILEGED = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
PREPARE = """
import sys
from pathlib import Path
from phonify.storage.database import Database
from phonify.storage.upgrades import DatabaseUnusable, prepare
try:
    prepare(Database(Path(sys.argv[1])))
except DatabaseUnusable as error:
    print(error)
"""
needs_permissions = pytest.mark.skipif(
    subprocess.run([*UNPRIVILEGED, "true"], check=False, capture_output=True).returncode != 0
    if not UNPRIVILEGED or shutil.which("setpriv")
    else True,
    reason="nothing is read-only for root, and setpriv does not work here",
)


def refuse_unprivileged(path: Path, prefix: Sequence[str] = UNPRIVILEGED) -> str:
    command = [*prefix, sys.executable, "-W", "error", "-c", PREPARE, str(path)]
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


@needs_permissions
def test_a_folder_that_can_only_be_read_is_refused(tmp_path):
    folder = tmp_path / "read-only"
    folder.mkdir(0o500)
    assert refuse_unprivileged(folder / "phonify.db") == f"{folder}/phonify.db: Permission denied\n"


@needs_permissions
def test_a_file_in_a_folder_that_can_only_be_read_is_refused(tmp_path):
    folder = tmp_path / "read-only"
    folder.mkdir()
    start(folder / "phonify.db")
    folder.chmod(0o500)
    shown = refuse_unprivileged(folder / "phonify.db")
    assert shown == f"{folder}/phonify.db: its folder is not writable\n"


@needs_permissions
def test_a_file_that_can_only_be_read_is_refused(path):
    start(path)
    path.chmod(0o400)
    assert refuse_unprivileged(path) == f"{path}: Permission denied\n"


@pytest.mark.parametrize("suffix", ["-wal", "-shm"])
def test_no_database_is_made_beside_files_of_one_that_is_missing(tmp_path, suffix):
    path = tmp_path / "phonify.db"
    beside = tmp_path / f"phonify.db{suffix}"
    beside.write_bytes(b"something")
    with pytest.raises(DatabaseUnusable, match=f"is missing, but {beside} exists: put the database back"):
        prepare(Database(path))
    assert (path.exists(), beside.read_bytes()) == (False, b"something")
