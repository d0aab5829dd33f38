"""The SQL for the inbox. It lists conversations, lists threads, and searches messages.

`messages.py` updates the conversations.
"""

import sqlite3
from collections.abc import Sequence

from .messages import RECEIVED, SENT, escape_like
from .records import Account, Conversation, Direction, Entry, Message, MessageAttempt, State, Trace

_COLUMNS = ", ".join(f"m.{name}" for name in Message._fields)
MOST_UNREAD = 100  # Phonify reports at most this number of unread messages


def _entries(rows: sqlite3.Cursor) -> list[Entry]:
    return [Entry(row[0], Message._make(row[1:])) for row in rows]


_UNREAD = "SELECT count(*) FROM ({} LIMIT :limit)".format(
    " UNION ALL ".join(
        f"SELECT 1 FROM messages WHERE {side} AND seq > :read_seq AND seq <= :last_seq" for side in (SENT, RECEIVED)
    )
)


def list_conversations(
    connection: sqlite3.Connection, *, account_id: int, below: int, limit: int
) -> list[Conversation]:
    """Return at most `limit` conversations of an account, latest first.

    The `last_seq` of each returned conversation is less than `below`.
    """
    rows = connection.execute(
        f"SELECT c.phone, c.last_seq, c.read_seq, {_COLUMNS} FROM conversations AS c"
        " JOIN messages AS m ON m.seq = c.last_seq"
        " WHERE c.account_id = :account_id AND c.last_seq < :below ORDER BY c.last_seq DESC LIMIT :limit",
        {"account_id": account_id, "below": below, "limit": limit},
    ).fetchall()
    conversations = []
    for phone, last_seq, read_seq, *message in rows:
        unread = 0
        if last_seq > read_seq:
            values = {"account_id": account_id, "phone": phone, "read_seq": read_seq, "last_seq": last_seq}
            (unread,) = connection.execute(_UNREAD, {**values, "limit": MOST_UNREAD}).fetchone()
        conversations.append(Conversation(phone, Entry(last_seq, Message._make(message)), unread))
    return conversations


def has_unread(connection: sqlite3.Connection, *, account_id: int, phone: str, message_id: str) -> bool:
    """Return whether this message or an earlier message of the conversation is unread."""
    row = connection.execute(
        "SELECT 1 FROM conversations WHERE account_id = :account_id AND phone = :phone"
        " AND read_seq < (SELECT seq FROM messages WHERE id = :id)",
        {"account_id": account_id, "phone": phone, "id": message_id},
    ).fetchone()
    return row is not None


def mark_read(connection: sqlite3.Connection, *, account_id: int, phone: str, message_id: str) -> None:
    """Mark a message and all earlier messages of the conversation as read.

    If the message was removed, nothing changes.
    """
    connection.execute(
        "UPDATE conversations SET read_seq = max(read_seq, min(last_seq, m.seq)) FROM messages AS m"
        " WHERE conversations.account_id = :account_id AND conversations.phone = :phone AND m.id = :id",
        {"account_id": account_id, "phone": phone, "id": message_id},
    )


def mark_all_read(connection: sqlite3.Connection, *, account_id: int, up_to: int) -> None:
    """Mark each message of an account as read if its `seq` is at most `up_to`.

    These messages can be in any conversation of the account.
    """
    connection.execute(
        "UPDATE conversations SET read_seq = max(read_seq, min(last_seq, :up_to))"
        " WHERE account_id = :account_id AND read_seq < last_seq",
        {"account_id": account_id, "up_to": up_to},
    )


def count_unread(connection: sqlite3.Connection, *, account_id: int, selected: str | None) -> int:
    """Count the conversations with unread messages.

    If `selected` is a phone number, the function does not count the conversation with this number. For a hundred
    thousand conversations, the function takes about 10 milliseconds.
    """
    (count,) = connection.execute(
        "SELECT count(*) FROM conversations"
        " WHERE account_id = :account_id AND read_seq < last_seq AND phone IS NOT :selected",
        {"account_id": account_id, "selected": selected},
    ).fetchone()
    return int(count)


_THREAD = "SELECT seq FROM ({})".format(
    " UNION ALL ".join(
        f"SELECT * FROM (SELECT seq FROM messages WHERE {side} AND seq < :below AND seq >= :since"
        " ORDER BY seq DESC LIMIT :limit)"
        for side in (SENT, RECEIVED)
    )
)


def list_thread(
    connection: sqlite3.Connection, *, account_id: int, phone: str, below: int, since: int = 0, limit: int
) -> list[Entry]:
    """Return the messages between an account and a phone, latest first.

    The result has only messages with `since <= seq < below`.
    """
    rows = connection.execute(
        f"SELECT m.seq, {_COLUMNS} FROM messages AS m WHERE m.seq IN ({_THREAD}) ORDER BY m.seq DESC LIMIT :limit",
        {"account_id": account_id, "phone": phone, "below": below, "since": since, "limit": limit},
    )
    return _entries(rows)


def get_entry(connection: sqlite3.Connection, *, account_id: int, message_id: str) -> Entry | None:
    """Return one message and the message's `seq`. Returns `None` if the account does not have this message."""
    rows = connection.execute(
        f"SELECT m.seq, {_COLUMNS} FROM messages AS m WHERE m.id = :id AND m.account_id = :account_id",
        {"id": message_id, "account_id": account_id},
    )
    return next(iter(_entries(rows)), None)


def list_copies(connection: sqlite3.Connection, *, account_id: int, first: str, last: str) -> list[Message]:
    """Return the copies of caught messages. The oldest copy is first.

    Phonify creates such a copy when a person releases a caught message. The caught messages belong to one account.
    Their ids are from `first` to `last`, including these two ids.
    """
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM messages AS m WHERE m.account_id = :account_id AND m.released_from IS NOT NULL"
        " AND m.released_from BETWEEN :first AND :last ORDER BY m.seq",
        {"account_id": account_id, "first": first, "last": last},
    )
    return [Message._make(row) for row in rows]


# The condition for a scheduled message that still waits.
_SCHEDULED = "m.state = 'unconfirmed' AND m.direction = 'outbound' AND m.send_at IS NOT NULL AND m.attempts = 0"


def search_messages(
    connection: sqlite3.Connection,
    *,
    account_id: int,
    text: str | None,
    numbers: Sequence[str] = (),
    state: State | None,
    direction: Direction | None,
    scheduled: bool = False,
    failed: bool = False,
    below: int,
    limit: int,
    search_limit: int,
) -> tuple[list[Entry], int | None]:
    """Search the messages of an account. The latest match is first.

    If `text` is given, a message matches in four cases. First, the body contains `text`. Second, the sender's number or
    the recipient's number contains `text`. Third, the sender's number or the recipient's number contains a string from
    `numbers`. Fourth, `text` is equal to the id that the provider gave to the message. If `text` looks like a phone
    number, `numbers` has the same phone number in other formats.

    The function searches at most `search_limit` messages, because a search through all messages would take too long.
    Returns two values. The first value is the list of matches. To get the next page, use the second value as the
    argument `below`. On the last page, the second value is `None`.
    """
    row = connection.execute(
        "SELECT seq FROM messages WHERE account_id = :account_id AND seq < :below"
        " ORDER BY seq DESC LIMIT 1 OFFSET :search_limit",
        {"account_id": account_id, "below": below, "search_limit": search_limit},
    ).fetchone()
    after = row[0] if row else 0
    values: dict[str, object] = {"account_id": account_id, "below": below, "after": after, "limit": limit + 1}
    conditions = ["m.account_id = :account_id", "m.seq < :below", "m.seq > :after"]
    for name, value in {"state": state, "direction": direction}.items():
        if value is not None:
            conditions.append(f"m.{name} = :{name}")
            values[name] = value
    if scheduled:
        conditions.append(_SCHEDULED)
    if failed:
        conditions.append("(m.state = 'error' OR m.receipt_status = 'undelivered')")
    if text is not None:
        forms = {f"form{index}": f"%{escape_like(form)}%" for index, form in enumerate([text, *numbers])}
        places = [("body", "form0"), *((f"{side}_number", form) for side in ("to", "origin") for form in forms)]
        matches = [f"m.{column} LIKE :{form} ESCAPE '\\'" for column, form in places]
        matches.append("m.id IN (SELECT message_id FROM message_parts WHERE reference = :reference)")
        conditions.append(f"({' OR '.join(matches)})")
        values |= {**forms, "reference": text}
    found = _entries(
        connection.execute(
            f"SELECT m.seq, {_COLUMNS} FROM messages AS m WHERE {' AND '.join(conditions)}"
            " ORDER BY m.seq DESC LIMIT :limit",
            values,
        )
    )
    if len(found) > limit:
        return found[:limit], found[limit - 1].seq
    return found, after + 1 if after else None


def get_trace(connection: sqlite3.Connection, *, message_id: str) -> Trace | None:
    """Return a message, its account, the name of its API key, and the owner of its lease.

    The message can belong to any account.
    """
    row = connection.execute(
        f"SELECT {_COLUMNS}, a.id, a.name, a.origin, a.created_at, k.name, m.lease_owner"
        " FROM messages AS m JOIN accounts AS a ON a.id = m.account_id"
        " LEFT JOIN api_keys AS k ON k.id = m.key_id WHERE m.id = :id",
        {"id": message_id},
    ).fetchone()
    return Trace(Message._make(row[:-6]), Account(*row[-6:-2]), *row[-2:]) if row else None


def list_attempts(connection: sqlite3.Connection, *, message_id: str) -> list[MessageAttempt]:
    """Return a message's failed attempts and its attempts with an unknown result, oldest first."""
    rows = connection.execute(
        "SELECT attempt, at, outcome, due_at FROM message_attempts WHERE message_id = :id ORDER BY attempt",
        {"id": message_id},
    )
    return [MessageAttempt._make(row) for row in rows]


def count_messages(connection: sqlite3.Connection, *, account_id: int) -> int:
    """Count the messages of an account. For a million messages, this takes about 10 milliseconds."""
    (count,) = connection.execute(
        "SELECT count(*) FROM messages WHERE account_id = :account_id", {"account_id": account_id}
    ).fetchone()
    return int(count)


def list_account_ids(connection: sqlite3.Connection) -> Sequence[int]:
    """Return the ids of all accounts."""
    return [account_id for (account_id,) in connection.execute("SELECT id FROM accounts ORDER BY id")]
