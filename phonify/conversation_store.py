"""The SQL of what the inbox shows: conversations, threads, search; and of clearing and retention.

As in `store.py`: the connection first, the rest by keyword, and none commits.
"""

import sqlite3
from collections.abc import Sequence
from typing import Literal, NamedTuple

from .store import NEWEST_FIRST, STRETCH_BITS, Direction, Message, State, by_number

_COLUMNS = ", ".join(f"m.{name}" for name in Message._fields)
IS_PHONE = "phone LIKE '+%'"  # rather than a short code or an alphanumeric sender
MOST_UNREAD = 100  # no more are counted
# Nor what came before the last 32 stretches in which the account has messages: the file's last four million at least.
_UNREAD_WITHIN = (
    f" AND stretch BETWEEN c.read_seq >> {STRETCH_BITS} AND c.last_seq >> {STRETCH_BITS} ORDER BY stretch DESC LIMIT 32"
)

# A conversation is with the other side: whom a message went to, or whom it came from.
_PHONE = "CASE direction WHEN 'outbound' THEN to_number ELSE origin_number END"


def _sides(within: str = "", phone: str = ":phone") -> tuple[str, str]:
    """Return what to select a conversation's messages from, for each direction; for `within` see `by_number`."""
    return (
        f"{by_number('messages_by_to', within)} WHERE to_number = {phone} AND direction = 'outbound'",
        f"{by_number('messages_by_origin', within)} WHERE origin_number = {phone} AND direction = 'inbound'",
    )


_NOTED_SEQ = "SELECT last_seq FROM conversations WHERE account_id = :account_id AND phone = :phone"
_LAST_SEQ = "max({})".format(
    ", ".join(
        f"coalesce((SELECT seq FROM {side} ORDER BY {NEWEST_FIRST} LIMIT 1), 0)"
        for side in _sides(f" AND stretch <= :upto >> {STRETCH_BITS}")
    )
)


class Entry(NamedTuple):
    """A message and its place in the order of arrival."""

    seq: int
    message: Message


class Conversation(NamedTuple):
    """What an account and a phone have exchanged, as a list shows it."""

    phone: str
    last: Entry
    unread: int  # at most MOST_UNREAD, and of the file's last millions of messages alone


class Attempt(NamedTuple):
    """An attempt to send a message that the gateway did not simply take."""

    attempt: int
    at: str
    outcome: Literal["rejected", "unavailable", "unconfirmed"]
    due_at: str | None


def _entries(rows: sqlite3.Cursor) -> list[Entry]:
    return [Entry(row[0], Message._make(row[1:])) for row in rows]


def catch_up(connection: sqlite3.Connection, *, limit: int) -> bool:
    """Take account of up to `limit` further messages in `conversations`; False where there were fewer.

    To be called until it returns False, each time in a transaction of its own.
    """
    (upto,) = connection.execute("SELECT seq FROM conversations_upto").fetchone()
    (reached, found) = connection.execute(
        "SELECT max(seq), count(*) FROM (SELECT seq FROM messages WHERE seq > :upto ORDER BY seq LIMIT :limit)",
        {"upto": upto, "limit": limit},
    ).fetchone()
    if found:
        connection.execute(
            f"INSERT INTO conversations (account_id, phone, last_seq) SELECT account_id, {_PHONE}, max(seq)"
            " FROM messages WHERE seq > :upto AND seq <= :reached GROUP BY 1, 2"
            " ON CONFLICT DO UPDATE SET last_seq = max(last_seq, excluded.last_seq)",
            {"upto": upto, "reached": reached},
        )
        connection.execute("UPDATE conversations_upto SET seq = :reached", {"reached": reached})
    return bool(found == limit)


def is_behind(connection: sqlite3.Connection) -> bool:
    """Tell whether there are messages that `conversations` does not take account of."""
    (behind,) = connection.execute(
        "SELECT coalesce((SELECT max(seq) FROM messages), 0) > (SELECT seq FROM conversations_upto)"
    ).fetchone()
    return bool(behind)


def list_stale(
    connection: sqlite3.Connection, *, account_id: int, below: int, limit: int, phones_only: bool = False
) -> list[tuple[str, int]]:
    """Return the conversations among the next `limit` whose latest message is not there any more: phone and its seq."""
    chosen = f" AND {IS_PHONE}" if phones_only else ""
    rows = connection.execute(
        "SELECT c.phone, c.last_seq FROM (SELECT phone, last_seq FROM conversations WHERE account_id = :account_id"
        f"  AND last_seq < :below{chosen} ORDER BY last_seq DESC LIMIT :limit) AS c LEFT JOIN messages AS m"
        f"  ON m.seq = c.last_seq AND m.account_id = :account_id AND {_PHONE} = c.phone WHERE m.seq IS NULL",
        {"account_id": account_id, "below": below, "limit": limit},
    )
    return rows.fetchall()


def put_conversation(connection: sqlite3.Connection, *, account_id: int, phone: str, stale: int | None = None) -> None:
    """Write down anew which is the latest message with a phone, or that there is none.

    With `stale`, only where that is still written down: then what comes after it is yet to be caught up.
    """
    values = {"account_id": account_id, "phone": phone}
    if stale is not None and connection.execute(_NOTED_SEQ, values).fetchone() != (stale,):
        return
    upto = stale if stale is not None else 2**63 - 1
    (last_seq,) = connection.execute(f"SELECT {_LAST_SEQ}", {**values, "upto": upto}).fetchone()
    if last_seq:
        connection.execute(
            "INSERT INTO conversations (account_id, phone, last_seq) VALUES (:account_id, :phone, :last_seq)"
            " ON CONFLICT DO UPDATE SET last_seq = :last_seq, read_seq = min(read_seq, :last_seq)",
            {**values, "last_seq": last_seq},
        )
    else:
        connection.execute("DELETE FROM conversations WHERE account_id = :account_id AND phone = :phone", values)


def list_conversations(
    connection: sqlite3.Connection, *, account_id: int, below: int, limit: int
) -> list[Conversation]:
    """Return an account's conversations whose latest message comes before `below`, the latest first."""
    sides = " UNION ALL ".join(
        f"SELECT 1 FROM {side} AND seq > c.read_seq" for side in _sides(_UNREAD_WITHIN, "c.phone")
    )
    unread = f"iif(c.last_seq > c.read_seq, (SELECT count(*) FROM ({sides} LIMIT :most_unread)), 0)"
    rows = connection.execute(
        f"SELECT c.phone, {unread}, m.seq, {_COLUMNS} FROM conversations AS c JOIN messages AS m"
        f" ON m.seq = c.last_seq AND m.account_id = :account_id AND {_PHONE} = c.phone"
        " WHERE c.account_id = :account_id AND c.last_seq < :below ORDER BY c.last_seq DESC LIMIT :limit",
        {"account_id": account_id, "below": below, "limit": limit, "most_unread": MOST_UNREAD},
    )
    return [
        Conversation(phone, Entry(seq, Message._make(message)), unread_count)
        for phone, unread_count, seq, *message in rows
    ]


def mark_read(connection: sqlite3.Connection, *, account_id: int, phone: str, seq: int, message_id: str) -> None:
    """Note that a conversation, which may not be listed yet, was looked at up to a message, where that is still there.

    SQLite may have given the seq of one that was removed to another, which nobody has seen.
    """
    connection.execute(
        "INSERT INTO conversations (account_id, phone, last_seq, read_seq)"
        " SELECT :account_id, :phone, :seq, :seq FROM messages WHERE seq = :seq AND id = :id"
        " ON CONFLICT DO UPDATE SET read_seq = max(read_seq, :seq), last_seq = max(last_seq, :seq)",
        {"account_id": account_id, "phone": phone, "seq": seq, "id": message_id},
    )


def get_read_seq(connection: sqlite3.Connection, *, account_id: int, phone: str) -> int:
    """Return up to which message a conversation was looked at."""
    row = connection.execute(
        "SELECT read_seq FROM conversations WHERE account_id = :account_id AND phone = :phone",
        {"account_id": account_id, "phone": phone},
    ).fetchone()
    return int(row[0]) if row else 0


_THREAD = "SELECT seq FROM ({}) ORDER BY seq DESC LIMIT :limit".format(
    " UNION ALL ".join(
        f"SELECT seq FROM (SELECT seq FROM {side} AND seq < :below AND seq >= :since"
        f" ORDER BY {NEWEST_FIRST} LIMIT :limit)"
        for side in _sides(f" AND stretch BETWEEN :since >> {STRETCH_BITS} AND :below >> {STRETCH_BITS}")
    )
)


def list_thread(
    connection: sqlite3.Connection, *, account_id: int, phone: str, below: int, since: int = 0, limit: int
) -> list[Entry]:
    """Return the messages exchanged with a phone that come before `below` and not before `since`, latest first."""
    rows = connection.execute(
        f"SELECT m.seq, {_COLUMNS} FROM messages AS m WHERE m.seq IN ({_THREAD}) ORDER BY m.seq DESC",
        {"account_id": account_id, "phone": phone, "below": below, "since": since, "limit": limit},
    )
    return _entries(rows)


def get_entry(connection: sqlite3.Connection, *, account_id: int, message_id: str) -> Entry | None:
    """Return one message of an account with its place."""
    rows = connection.execute(
        f"SELECT m.seq, {_COLUMNS} FROM messages AS m WHERE m.id = :id AND m.account_id = :account_id",
        {"id": message_id, "account_id": account_id},
    )
    return next(iter(_entries(rows)), None)


def search_messages(
    connection: sqlite3.Connection,
    *,
    account_id: int,
    text: str | None,
    state: State | None,
    direction: Direction | None,
    below: int,
    limit: int,
    most: int,
) -> tuple[list[Entry], int | None]:
    """Return messages that have a text in body or number, latest first, and where to go on; None: nowhere.

    Looks at no more than `most` messages, so that it takes a bounded time whatever there is.
    """
    floor = connection.execute(
        "SELECT seq FROM messages WHERE account_id = :account_id AND seq < :below"
        " ORDER BY seq DESC LIMIT 1 OFFSET :most",
        {"account_id": account_id, "below": below, "most": most},
    ).fetchone()
    values: dict[str, object] = {"account_id": account_id, "below": below, "limit": limit}
    conditions = ["m.account_id = :account_id", "m.seq < :below"]
    if floor is not None:
        conditions.append("m.seq > :floor")
        values["floor"] = floor[0]
    if state is not None:
        conditions.append("m.state = :state" + (" AND m.state <> 'sent'" if state != "sent" else ""))
        values["state"] = state
    if direction is not None:
        conditions.append(
            "m.direction = :direction" + (" AND m.direction = 'inbound'" if direction == "inbound" else "")
        )
        values["direction"] = direction
    if text is not None:
        escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        values["text"] = f"%{escaped}%"
        columns = ("body", "to_number", "origin_number")
        conditions.append("({})".format(" OR ".join(f"m.{column} LIKE :text ESCAPE '\\'" for column in columns)))
    found = _entries(
        connection.execute(
            f"SELECT m.seq, {_COLUMNS} FROM messages AS m WHERE {' AND '.join(conditions)}"
            " ORDER BY m.seq DESC LIMIT :limit",
            values,
        )
    )
    if len(found) == limit:
        return found, found[-1].seq
    return found, floor[0] + 1 if floor is not None else None


def list_attempts(connection: sqlite3.Connection, *, message_id: str) -> list[Attempt]:
    """Return the attempts to send a message that the gateway did not simply take, the first one first."""
    rows = connection.execute(
        "SELECT attempt, at, outcome, due_at FROM message_attempts WHERE message_id = :id ORDER BY attempt",
        {"id": message_id},
    )
    return [Attempt._make(row) for row in rows]


# Clearing and retention. What is not settled stays: each accepted message comes to its end.


def count_messages(connection: sqlite3.Connection, *, account_id: int) -> int:
    """Return how many messages an account has."""
    (count,) = connection.execute(
        "SELECT coalesce(sum(messages), 0) FROM message_counts"
        f" WHERE account_id = :account_id AND bits = {STRETCH_BITS}",
        {"account_id": account_id},
    ).fetchone()
    return int(count)


_DELETE = (
    "DELETE FROM messages WHERE seq IN (SELECT seq FROM messages WHERE {}"
    " AND seq > :above AND +state <> 'unconfirmed' ORDER BY {} LIMIT :limit) RETURNING seq"
)


def delete_settled(
    connection: sqlite3.Connection, *, account_id: int, above: int, limit: int, upto_id: str | None = None
) -> list[int]:
    """Remove the oldest messages of an account that come after `above` and whose state is final.

    None that came after the message `upto_id`, where that is given. Returns the seqs, in no order.
    """
    condition = "account_id = :account_id AND +id <= coalesce(:upto_id, '~')"
    rows = connection.execute(
        _DELETE.format(condition, "seq"),
        {"account_id": account_id, "above": above, "limit": limit, "upto_id": upto_id},
    )
    return [seq for (seq,) in rows]


def delete_old(connection: sqlite3.Connection, *, id_below: str, above: int, limit: int) -> list[int]:
    """Remove the oldest messages of all accounts with a smaller id, as `delete_settled` does."""
    # The id, which is in time order, rather than created_at: it has an index.
    rows = connection.execute(
        _DELETE.format("id < :id_below", "id"), {"id_below": id_below, "above": above, "limit": limit}
    )
    return [seq for (seq,) in rows]


def list_account_ids(connection: sqlite3.Connection) -> Sequence[int]:
    """Return the ids of all accounts."""
    return [account_id for (account_id,) in connection.execute("SELECT id FROM accounts ORDER BY id")]
