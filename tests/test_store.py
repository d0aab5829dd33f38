"""The statements: paging at any depth, what filters match, all-or-nothing inserts, and that indexes serve."""

import random
import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from phonify import store
from phonify.db import Database
from phonify.store import Answer, Arrival, Attempt, Criteria, Message

SCHEMA = (Path(__file__).parent.parent / "schema.sql").read_text(encoding="utf-8")
NOW = "2026-01-31T09:30:00.000Z"
LATER = "2026-02-01T09:30:00.000Z"
SENT = Message(
    id="",
    account_id=1,
    direction="outbound",
    body="Hello",
    origin_number="+15005550006",
    origin_country="US",
    origin_carrier=None,
    to_number="+14560000000",
    to_country="US",
    to_carrier=None,
    state="sent",
    error_type=None,
    created_at=NOW,
    send_at=None,
    due_at=None,
    expires_at=LATER,
    attempts=1,
    submitted_at=None,
    finished_at=NOW,
)
WAITING = SENT._replace(state="unconfirmed", due_at=NOW, attempts=0, finished_at=None)
FAILED = SENT._replace(state="error", error_type="cannot_receive_sms")
ALL = Criteria()
INBOUND = SENT._replace(direction="inbound", origin_number="+14560000000", to_number="+15005550006")


def message_id(number: int) -> str:
    return f"019c1363-49c0-7000-8000-{number:012x}"


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that writes to a database with two accounts."""
    database = Database(tmp_path / "phonify.db")
    database.prepare(SCHEMA)
    with database.reading() as connection:
        for name in ("one", "two"):
            store.insert_account(connection, name=name, origin=None, now=NOW)
        yield connection
    database.close()


@pytest.fixture
def insert(connection: sqlite3.Connection) -> Callable[..., list[str]]:
    """Return a function that inserts messages with ascending ids and returns these."""
    count = 0

    def insert(*messages: Message) -> list[str]:
        nonlocal count
        numbered = []
        for message in messages:
            count += 1
            numbered.append(message._replace(id=message_id(count)))
        assert store.insert_messages(connection, messages=numbered)
        return [message.id for message in numbered]

    return insert


def list_ids(
    connection: sqlite3.Connection,
    criteria: Criteria = ALL,
    offset: int = 0,
    limit: int = 1_000,
    account: int = 1,
) -> list[str]:
    found = store.list_messages(connection, account_id=account, criteria=criteria, offset=offset, limit=limit)
    return [message.id for message in found]


# Inserting


def test_a_message_is_read_as_it_was_inserted(connection, insert):
    (id_,) = insert(FAILED._replace(body="Olá 👋\n\t'\"%_\\", send_at=LATER, attempts=7, submitted_at=NOW))
    assert store.get_message(connection, account_id=1, message_id=id_) == FAILED._replace(
        id=id_, body="Olá 👋\n\t'\"%_\\", send_at=LATER, attempts=7, submitted_at=NOW
    )


def test_a_message_of_another_account_is_not_read(connection, insert):
    (id_,) = insert(SENT._replace(account_id=2))
    assert store.get_message(connection, account_id=1, message_id=id_) is None


@pytest.mark.parametrize("count", [1, 16, 17, 999, 1_000, 1_001, 2_500])
def test_any_number_of_messages_is_inserted_in_order(connection, insert, count):
    ids = insert(*[SENT] * count)
    assert [row[0] for row in connection.execute("SELECT id FROM messages ORDER BY seq")] == ids


@pytest.mark.parametrize("bad", [0, 500, 999, 1_000, 1_001, 2_499])
def test_more_than_a_thousand_messages_are_inserted_all_or_none(connection, bad):
    messages = [SENT._replace(id=message_id(number)) for number in range(2_500)]
    messages[bad] = messages[bad]._replace(account_id=99)
    connection.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.IntegrityError):
        store.insert_messages(connection, messages=messages)
    connection.execute("ROLLBACK")
    assert connection.execute("SELECT count(*) FROM messages").fetchone() == (0,)
    assert connection.execute("SELECT count(*) FROM message_counts").fetchone() == (0,)


@pytest.mark.parametrize("bad", [0, 500, 1_000, 2_499])
def test_more_than_a_thousand_messages_are_all_or_none_without_a_transaction_around_them(connection, bad):
    messages = [SENT._replace(id=message_id(number)) for number in range(2_500)]
    messages[bad] = messages[bad]._replace(account_id=99)
    with pytest.raises(sqlite3.IntegrityError):
        store.insert_messages(connection, messages=messages)
    if connection.in_transaction:
        connection.execute("ROLLBACK")
    assert connection.execute("SELECT count(*) FROM messages").fetchone() == (0,)


@pytest.mark.parametrize("count", [1, 1_001])
def test_messages_whose_ids_do_not_come_after_all_others_are_not_inserted(connection, insert, count):
    (last,) = insert(SENT)
    late = [SENT._replace(id=message_id(number)) for number in range(count)]
    assert not store.insert_messages(connection, messages=late)
    assert not connection.in_transaction
    assert list_ids(connection) == [last]


def test_no_messages_at_all_are_inserted(connection):
    assert store.insert_messages(connection, messages=[])


def test_the_last_message_id_is_the_greatest_of_all_accounts(connection, insert):
    assert store.get_last_message_id(connection) is None
    ids = insert(SENT, SENT._replace(account_id=2))
    assert store.get_last_message_id(connection) == ids[1]


@pytest.mark.parametrize(
    "impossible",
    [
        SENT._replace(state="lost"),
        SENT._replace(direction="sideways"),
        SENT._replace(state="error"),
        SENT._replace(error_type="cannot_receive_sms"),
        SENT._replace(finished_at=None),
        SENT._replace(due_at=NOW),
        WAITING._replace(finished_at=NOW),
    ],
)
def test_a_message_in_a_state_that_can_not_be_is_refused_by_the_database(insert, impossible):
    with pytest.raises(sqlite3.IntegrityError):
        insert(impossible)


# Paging


def test_arrivals_are_what_came_after_an_id_of_all_accounts_oldest_first(connection, insert):
    body = 'Gr\u00fc\u00dfe, "\\\n\U0001f600'
    ids = insert(SENT, INBOUND._replace(account_id=2, body=body), FAILED, SENT)
    assert store.list_arrivals(connection, after=ids[0], limit=2) == [
        Arrival(ids[1], 2, "inbound", body, "+14560000000", "+15005550006", "sent"),
        Arrival(ids[2], 1, "outbound", "Hello", "+15005550006", "+14560000000", "error"),
    ]
    assert [arrival.id for arrival in store.list_arrivals(connection, after="", limit=10)] == ids
    assert store.list_arrivals(connection, after=ids[3], limit=10) == []


PHONES = ("+14560000000", "+14560000001", "+15005550006")


def scatter(connection: sqlite3.Connection) -> dict[int, Message]:
    """Insert messages of two accounts between three phones, all over five stretches, one of them empty since."""
    chance = random.Random(20_260_201)
    messages: dict[int, Message] = {}
    seq = 1
    while seq < 5 * 131_072:
        kind = chance.choice([SENT, FAILED, INBOUND])
        account, origin, to = chance.choice([1, 1, 2]), chance.choice(PHONES), chance.choice(PHONES)
        messages[seq] = kind._replace(id=message_id(seq), account_id=account, origin_number=origin, to_number=to)
        seq += chance.choice([1, 1, 1, 3_000])
    columns = ", ".join(("seq", *Message._fields))
    holes = ", ".join("?" * (len(Message._fields) + 1))
    rows = [(seq, *message) for seq, message in messages.items()]
    connection.executemany(f"INSERT INTO messages ({columns}) VALUES ({holes})", rows)
    removed = [seq for seq in messages if seq >> 17 == 2 or chance.random() < 0.1]
    connection.executemany("DELETE FROM messages WHERE seq = ?", [(seq,) for seq in removed])
    return {seq: message for seq, message in messages.items() if seq not in removed}


@pytest.mark.parametrize("account", [1, 2])
@pytest.mark.parametrize(
    "criteria",
    [
        Criteria(to=PHONES[0]),
        Criteria(origin=PHONES[1]),
        Criteria(phone=PHONES[0]),
        Criteria(to=PHONES[0], origin=PHONES[1]),
        Criteria(phone=PHONES[2], to=PHONES[1]),
        Criteria(to=PHONES[1], state="error", direction="outbound"),
        Criteria(origin=PHONES[0], direction="inbound", after=message_id(131_072)),
        Criteria(phone=PHONES[1], before=message_id(4 * 131_072), after=message_id(131_000)),
        Criteria(to=PHONES[0], after=message_id(200_000)),
        Criteria(to=PHONES[0], before=message_id(460_000)),
        Criteria(to="+14560000009"),
    ],
)
def test_a_list_by_number_has_the_messages_of_all_stretches_newest_first(connection, account, criteria):
    expected = [
        message.id
        for _, message in sorted(scatter(connection).items(), reverse=True)
        if message.account_id == account
        and criteria.to in (None, message.to_number)
        and criteria.origin in (None, message.origin_number)
        and criteria.phone in (None, message.to_number, message.origin_number)
        and criteria.state in (None, message.state)
        and criteria.direction in (None, message.direction)
        and (criteria.after is None or message.id > criteria.after)
        and (criteria.before is None or message.id < criteria.before)
    ]
    assert len(expected) > 10 or criteria.to == "+14560000009"
    assert list_ids(connection, criteria, account=account) == expected
    for offset in (1, len(expected) // 2, len(expected)):
        assert list_ids(connection, criteria, offset, 7, account) == expected[offset : offset + 7]


@pytest.fixture(scope="module")
def sparse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[sqlite3.Connection, dict[int, list[str]]]]:
    """Messages of three accounts spread over 500,000 places, many removed; with the ids left, newest first."""
    database = Database(tmp_path_factory.mktemp("sparse") / "phonify.db")
    database.prepare(SCHEMA)
    chance = random.Random(20_260_131)
    with database.reading() as connection:
        for name in ("one", "two", "three"):
            store.insert_account(connection, name=name, origin=None, now=NOW)
        columns = ", ".join(("seq", *Message._fields))
        holes = ", ".join("?" * (len(Message._fields) + 1))
        rows = []
        seq = 0
        for number in range(9_000):
            seq += chance.choice([1, 1, 1, 2, 300])
            account = chance.choice([1, 1, 1, 2])  # the third has none
            rows.append((seq, *SENT._replace(id=message_id(number), account_id=account)))
        connection.execute("BEGIN")
        connection.executemany(f"INSERT INTO messages ({columns}) VALUES ({holes})", rows)
        for row in rows:
            # Whole stretches of 1,024, and here and there one.
            if row[0] >> 10 in (20, 21, 22, 64, 65) or chance.random() < 0.1:
                store.delete_message(connection, message_id=row[1])
        connection.execute("COMMIT")
        left: dict[int, list[str]] = {1: [], 2: [], 3: []}
        for id_, account in connection.execute("SELECT id, account_id FROM messages ORDER BY seq DESC"):
            left[account].append(id_)
        assert seq > 2 * 131_072
        assert len(left[1]) > 4_000
        assert len(left[2]) > 1_000
        yield connection, left
    database.close()


@pytest.mark.parametrize("account", [1, 2, 3])
@pytest.mark.parametrize("limit", [1, 50, 1_000])
def test_a_list_at_any_offset_equals_the_slice_of_all(sparse, account, limit):
    connection, left = sparse
    count = len(left[account])
    offsets = {*range(0, count + 2_000, 97), *range(5), *range(max(0, count - 3), count + 3), 2**31 - 1}
    for offset in sorted(offsets):
        expected = left[account][offset : offset + limit]
        assert list_ids(connection, offset=offset, limit=limit, account=account) == expected, offset


def test_lists_at_all_offsets_one_by_one_show_each_message_once(sparse):
    connection, left = sparse
    shown = [list_ids(connection, offset=offset, limit=1, account=2) for offset in range(len(left[2]))]
    assert [id_ for (id_,) in shown] == left[2]


@pytest.mark.parametrize("offset", [0, 100, 2_000, 4_000])
def test_a_filtered_list_at_any_offset_equals_the_slice_of_all(sparse, offset):
    connection, left = sparse
    criteria = Criteria(to="+14560000000", state="sent", direction="outbound", q="hell")
    assert list_ids(connection, criteria, offset=offset, limit=50) == left[1][offset : offset + 50]


def test_the_counts_of_stretches_are_the_true_ones(sparse):
    connection, _ = sparse
    for bits in (10, 17):
        true = connection.execute(
            f"SELECT account_id, seq >> {bits}, count(*) FROM messages GROUP BY 1, 2 ORDER BY 1, 2"
        ).fetchall()
        kept = connection.execute(
            "SELECT account_id, stretch, messages FROM message_counts WHERE bits = ? AND messages > 0 ORDER BY 1, 2",
            [bits],
        ).fetchall()
        assert kept == true


def test_a_list_at_a_deep_offset_steps_over_few_messages(sparse):
    connection, left = sparse
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1

    def cost(offset: int) -> int:
        nonlocal steps
        steps = 0
        connection.set_progress_handler(count, 10)
        list_ids(connection, offset=offset, limit=50)
        connection.set_progress_handler(None, 0)
        return steps

    # All the way it would be nearly six times as much.
    assert cost(len(left[1]) - 60) < 2 * cost(1_000)


# Filters


def test_without_criteria_all_messages_of_the_account_are_listed_newest_first(connection, insert):
    ids = insert(SENT, WAITING, FAILED, INBOUND)
    insert(SENT._replace(account_id=2))
    assert list_ids(connection) == ids[::-1]


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        (Criteria(to="+15005550006"), [3]),
        (Criteria(origin="+15005550006"), [2, 1, 0]),
        (Criteria(phone="+14560000000"), [3, 2, 1, 0]),
        (Criteria(phone="+14560000000", direction="inbound"), [3]),
        (Criteria(state="unconfirmed"), [1]),
        (Criteria(state="error"), [2]),
        (Criteria(state="sent"), [3, 0]),
        (Criteria(direction="inbound"), [3]),
        (Criteria(direction="outbound"), [2, 1, 0]),
        (Criteria(state="sent", direction="outbound", to="+14560000000"), [0]),
        (Criteria(after=message_id(2)), [3, 2]),
        (Criteria(before=message_id(3)), [1, 0]),
        (Criteria(after=message_id(1), before=message_id(4)), [2, 1]),
        (Criteria(after=message_id(4)), []),
        (Criteria(before=message_id(1)), []),
        (Criteria(after=message_id(0)), [3, 2, 1, 0]),
        (Criteria(before=message_id(99)), [3, 2, 1, 0]),
    ],
)
def test_a_filter_finds_what_it_names_and_nothing_else(connection, insert, criteria, expected):
    ids = insert(SENT, WAITING, FAILED, INBOUND)
    insert(*(message._replace(account_id=2) for message in (SENT, WAITING, FAILED, INBOUND)))
    assert list_ids(connection, criteria) == [ids[index] for index in expected]


def test_a_message_to_its_own_sender_is_listed_once_by_phone(connection, insert):
    ids = insert(SENT._replace(origin_number="+14560000000"), SENT)
    assert list_ids(connection, Criteria(phone="+14560000000")) == ids[::-1]


def test_a_list_by_phone_pages_over_both_sides(connection, insert):
    ids = insert(*[SENT, INBOUND] * 20)
    pages = [list_ids(connection, Criteria(phone="+14560000000"), offset=offset, limit=7) for offset in range(0, 42, 7)]
    assert [id_ for page in pages for id_ in page] == ids[::-1]


def test_messages_around_one_that_was_removed_are_still_found(connection, insert):
    ids = insert(SENT, SENT, SENT)
    store.delete_message(connection, message_id=ids[1])
    assert list_ids(connection, Criteria(after=ids[1])) == [ids[2]]
    assert list_ids(connection, Criteria(before=ids[1])) == [ids[0]]


BODIES = ["100% sure", "100 sure", "snake_case", "snake case", "back\\slash", "backslash", "it's", "[a-z]*?", "Ärger"]


@pytest.mark.parametrize(
    ("q", "expected"),
    [
        ("%", ["100% sure"]),
        ("0% s", ["100% sure"]),
        ("_", ["snake_case"]),
        ("e_c", ["snake_case"]),
        ("\\", ["back\\slash"]),
        ("k\\s", ["back\\slash"]),
        ("\\%", []),
        ("%%", []),
        ("'", ["it's"]),
        ("*?", ["[a-z]*?"]),
        ("SNAKE", ["snake_case", "snake case"]),
        ("Ärger", ["Ärger"]),
        (" sure", ["100% sure", "100 sure"]),
        ("nothing", []),
    ],
)
def test_text_to_find_is_meant_literally(connection, insert, q, expected):
    insert(*(SENT._replace(body=body) for body in BODIES))
    found = store.list_messages(connection, account_id=1, criteria=Criteria(q=q), offset=0, limit=50)
    assert [message.body for message in reversed(found)] == expected


# Query plans


def explain(connection: sqlite3.Connection, call: Callable[[], object], table: str = "messages") -> list[str]:
    """Return the steps of the plans of all statements on a table that a call runs."""
    statements: list[str] = []
    connection.set_trace_callback(statements.append)
    call()
    connection.set_trace_callback(None)
    steps = []
    for statement in statements:
        # What begins with -- is run by a trigger.
        if not statement.startswith("--") and re.search(rf"(FROM|JOIN|INTO|UPDATE) {table}\b", statement):
            steps += [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
    assert steps
    return steps


def assert_served_by(steps: list[str], index: str) -> None:
    """See that an index serves, and that no table is read as a whole."""
    assert any(step.startswith("SEARCH messages") and index in step for step in steps), steps
    assert not [step for step in steps if step.startswith("SCAN") and " messages" in step], steps


@pytest.mark.parametrize(
    ("criteria", "index"),
    [
        (Criteria(), "messages_by_account (account_id=?"),
        (Criteria(to="+14560000000"), "messages_by_to (account_id=? AND stretch=? AND to_number=?)"),
        (Criteria(origin="+14560000000"), "messages_by_origin (account_id=? AND stretch=? AND origin_number=?)"),
        (Criteria(state="unconfirmed"), "messages_unsettled (account_id=? AND state=?)"),
        (Criteria(state="error"), "messages_unsettled (account_id=? AND state=?)"),
        (Criteria(state="sent"), "messages_by_account (account_id=?)"),
        (Criteria(direction="inbound"), "messages_inbound (account_id=? AND direction=?)"),
        (Criteria(direction="outbound"), "messages_by_account (account_id=?)"),
        (Criteria(q="hello"), "messages_by_account (account_id=?)"),
        (Criteria(after=message_id(3)), "messages_by_account (account_id=? AND rowid>?)"),
        (Criteria(before=message_id(3)), "messages_by_account (account_id=? AND rowid<?)"),
    ],
)
def test_an_index_serves_each_filter_and_gives_the_order(connection, insert, criteria, index):
    insert(SENT, WAITING, FAILED, INBOUND)
    steps = explain(connection, lambda: list_ids(connection, criteria))
    assert_served_by(steps, index)
    assert "USE TEMP B-TREE FOR ORDER BY" not in steps


@pytest.mark.parametrize(("bound", "range_"), [("after", "stretch>?"), ("before", "stretch<?")])
def test_a_list_by_number_after_or_before_a_message_looks_into_no_other_stretches(connection, insert, bound, range_):
    insert(SENT, WAITING, FAILED, INBOUND)
    criteria = Criteria(to="+14560000000")._replace(**{bound: message_id(2)})
    steps = explain(connection, lambda: list_ids(connection, criteria), "message_counts")
    assert f"SEARCH message_counts USING PRIMARY KEY (account_id=? AND bits=? AND {range_})" in steps
    assert_served_by(steps, "messages_by_to (account_id=? AND stretch=? AND to_number=?")


def test_each_side_has_its_index_in_a_list_by_phone(connection, insert):
    insert(SENT, WAITING, FAILED, INBOUND)
    steps = explain(connection, lambda: list_ids(connection, Criteria(phone="+14560000000")))
    assert_served_by(steps, "messages_by_to (account_id=? AND stretch=? AND to_number=?)")
    assert_served_by(steps, "messages_by_origin (account_id=? AND stretch=? AND origin_number=?)")


def test_an_index_serves_each_look_for_what_is_due(connection, insert):
    insert(SENT, WAITING)
    assert_served_by(explain(connection, lambda: store.next_due_at(connection)), "messages_due")
    steps = explain(connection, lambda: store.list_due_messages(connection, now=NOW, limit=100))
    assert_served_by(steps, "messages_due (due_at")
    assert "USE TEMP B-TREE FOR ORDER BY" not in steps


@pytest.mark.parametrize(
    "call",
    [
        lambda connection, id_: store.get_message(connection, account_id=1, message_id=id_),
        lambda connection, id_: store.delete_message(connection, message_id=id_),
        lambda connection, id_: store.lease_messages(connection, ids=[id_], now=NOW, until=LATER),
        lambda connection, id_: store.mark_sent(connection, attempts=[Attempt(id_, 0)], now=NOW),
        lambda connection, id_: store.mark_error(
            connection, attempts=[Attempt(id_, 0)], error_type="cannot_receive_sms", now=NOW
        ),
        lambda connection, id_: store.reschedule(connection, attempt=Attempt(id_, 0), due_at=LATER),
        lambda connection, id_: store.give_back(connection, attempts=[Attempt(id_, 0)], now=NOW),
        lambda connection, id_: store.await_validity(connection, attempts=[Attempt(id_, 0)]),
        lambda connection, id_: store.update_waiting_message(connection, message=WAITING._replace(id=id_)),
    ],
    ids=[
        "get_message",
        "delete_message",
        "lease_messages",
        "mark_sent",
        "mark_error",
        "reschedule",
        "give_back",
        "await_validity",
        "update_waiting_message",
    ],
)
def test_the_index_of_ids_serves_what_concerns_single_messages(connection, insert, call):
    (id_,) = insert(WAITING)
    steps = explain(connection, lambda: call(connection, id_))
    assert_served_by(steps, "sqlite_autoindex_messages_1 (id=?)")


def test_the_index_of_hashes_serves_the_look_up_of_a_key(connection):
    steps = explain(connection, lambda: store.find_account_by_key(connection, key_hash="0" * 64), "api_keys")
    assert steps == [
        "SEARCH k USING INDEX sqlite_autoindex_api_keys_1 (key_hash=?)",
        "SEARCH a USING INTEGER PRIMARY KEY (rowid=?)",
    ]


# Delivery


def test_what_is_due_is_listed_longest_waiting_first_up_to_the_limit(connection, insert):
    times = ["2026-01-31T09:29:59.999Z", "2026-01-31T09:30:00.001Z", NOW, "2026-01-30T00:00:00.000Z"]
    ids = insert(SENT, *(WAITING._replace(due_at=due_at) for due_at in times))
    due = store.list_due_messages(connection, now=NOW, limit=2)
    assert [message.id for message in due] == [ids[4], ids[1]]
    assert len(store.list_due_messages(connection, now=NOW, limit=10)) == 3
    assert store.next_due_at(connection) == "2026-01-30T00:00:00.000Z"


@pytest.mark.parametrize(
    "report",
    [
        lambda connection, attempt: store.mark_sent(connection, attempts=[attempt], now=NOW),
        lambda connection, attempt: store.mark_error(
            connection, attempts=[attempt], error_type="cannot_receive_sms", now=NOW
        ),
        lambda connection, attempt: store.reschedule(connection, attempt=attempt, due_at=LATER),
        lambda connection, attempt: store.give_back(connection, attempts=[attempt], now=LATER),
        lambda connection, attempt: store.await_validity(connection, attempts=[attempt]),
    ],
    ids=["mark_sent", "mark_error", "reschedule", "give_back", "await_validity"],
)
@pytest.mark.parametrize(
    ("message", "attempts"),
    [(WAITING._replace(attempts=2, submitted_at=NOW), 1), (SENT._replace(attempts=1), 1)],
    ids=["leased again", "final"],
)
def test_a_report_on_an_attempt_that_is_not_the_current_one_changes_nothing(
    connection, insert, report, message, attempts
):
    (id_,) = insert(message)
    report(connection, Attempt(id_, attempts))
    assert store.get_message(connection, account_id=1, message_id=id_) == message._replace(id=id_)


# Idempotency keys


def test_an_answer_is_found_until_it_runs_out_and_only_by_its_account(connection):
    answer = Answer("hash", 201, "{}")
    store.put_answer(connection, account_id=1, key="key", answer=answer, now=NOW)
    assert store.get_answer(connection, account_id=1, key="key", since="2026-01-31T09:29:59.999Z") == answer
    assert store.get_answer(connection, account_id=1, key="key", since=NOW) is None
    assert store.get_answer(connection, account_id=2, key="key", since="2026-01-30T09:30:00.000Z") is None


def test_answers_that_have_run_out_are_removed_a_few_at_a_time(connection):
    for number in range(5):
        store.put_answer(connection, account_id=1, key=f"old {number}", answer=Answer("hash", 201, "{}"), now=NOW)
    store.put_answer(connection, account_id=1, key="new", answer=Answer("hash", 201, "{}"), now=LATER)
    removed = [store.delete_answers(connection, until=NOW, limit=3) for _ in range(3)]
    assert removed == [3, 2, 0]
    assert connection.execute("SELECT key FROM idempotency_keys").fetchall() == [("new",)]
