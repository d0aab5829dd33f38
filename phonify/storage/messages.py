"""The SQL that stores, finds, lists, changes and removes messages. The SQL for delivery is in `outbox.py`.

The first parameter of each function is the connection. These functions do not commit. The caller commits the changes.
If a function stores or removes messages, it also updates the conversations of these messages.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from .records import Criteria, Message

COLUMNS = ", ".join(Message._fields)
_INSERT = f"INSERT INTO messages ({COLUMNS}) VALUES ({', '.join(f':{name}' for name in Message._fields)})"
_PHONE = "CASE direction WHEN 'outbound' THEN to_number ELSE origin_number END"
_END = 2**63 - 1  # greater than the seq of any message
# SENT finds the messages from an account to a phone. RECEIVED finds the messages from the phone to the account.
SENT = "account_id = :account_id AND to_number = :phone AND direction = 'outbound'"
RECEIVED = "account_id = :account_id AND origin_number = :phone AND direction = 'inbound'"
_LAST_SEQ = "SELECT max(seq) FROM ({})".format(
    " UNION ALL ".join(
        f"SELECT * FROM (SELECT seq FROM messages WHERE {side} ORDER BY seq DESC LIMIT 1)" for side in (SENT, RECEIVED)
    )
)


def get_last_message_id(connection: sqlite3.Connection) -> str | None:
    """Return the greatest id of all messages, or None. The id of a new message must be greater than this id."""
    row = connection.execute("SELECT id FROM messages ORDER BY id DESC LIMIT 1").fetchone()
    return row[0] if row else None


def insert_messages(connection: sqlite3.Connection, *, messages: Sequence[Message]) -> None:
    """Add messages. `messages` must be sorted by id. Each new id must be greater than all ids in the database."""
    connection.executemany(_INSERT, [message._asdict() for message in messages])
    connection.executemany(
        "INSERT INTO conversations (account_id, phone, last_seq)"
        f" SELECT account_id, {_PHONE}, seq FROM messages WHERE id = ?"
        " ON CONFLICT DO UPDATE SET last_seq = excluded.last_seq",
        [(message.id,) for message in messages],
    )


def get_message(connection: sqlite3.Connection, *, account_id: int, message_id: str) -> Message | None:
    """Return one message of an account."""
    row = connection.execute(
        f"SELECT {COLUMNS} FROM messages WHERE id = :id AND account_id = :account_id",
        {"id": message_id, "account_id": account_id},
    ).fetchone()
    return Message._make(row) if row else None


# The criteria `sent_from` and `sent_until` compare this time of a message. For an inbound message, it is the time of
# arrival. For a cancelled message, it is NULL. For a message in doubt, it is the time of the latest attempt. For every
# other message, it is the time at which the message was sent or failed.
_SENT_AT = (
    "CASE WHEN direction = 'inbound' THEN created_at WHEN error_type = 'canceled' THEN NULL"
    " WHEN due_at = expires_at THEN submitted_at ELSE finished_at END"
)
# The SQL of each criterion. If a message has a greater id, it also has a greater seq. So conditions about ids compare
# seqs, because `seq` is the last column of each index.
_CONDITIONS = {
    "to": "to_number = :to",
    "origin": "origin_number = :origin",
    "state": "state = :state",
    "direction": "direction = :direction",
    "q": r"body LIKE :q ESCAPE '\'",
    "after": "seq > coalesce((SELECT seq FROM messages WHERE id <= :after ORDER BY id DESC LIMIT 1), 0)",
    "reference": "id IN (SELECT message_id FROM message_parts WHERE reference = :reference)",
    "sent_from": f"{_SENT_AT} >= :sent_from",
    "sent_until": f"{_SENT_AT} < :sent_until",
    "before": f"seq < coalesce((SELECT seq FROM messages WHERE id >= :before ORDER BY id LIMIT 1), {_END})",
}


def list_messages(
    connection: sqlite3.Connection, *, account_id: int, criteria: Criteria, offset: int, limit: int
) -> list[Message]:
    """Return an account's messages that match the criteria, newest first.

    First, the function skips `offset` matches. Then, it returns at most `limit` matches. Usually, the function skips
    the newest matches. If `criteria.before` is None and `criteria.after` has a value, the function skips the oldest
    matches.
    """
    given = {name: value for name, value in criteria._asdict().items() if value is not None}
    conditions = ["account_id = :account_id", *(_CONDITIONS[name] for name in given if name in _CONDITIONS)]
    if given.keys().isdisjoint({"to", "origin", "phone"}):
        conditions += _list_index_conditions(criteria)
    where = " AND ".join(conditions)
    order = "ASC" if criteria.after is not None and criteria.before is None else "DESC"
    if criteria.phone is None:
        source = f"FROM messages WHERE {where}"
    else:
        # One query finds the messages to the number. Another query finds the messages from the number. So each query
        # can use an index.
        sides = " UNION ".join(
            f"SELECT seq FROM (SELECT seq FROM messages WHERE {where} AND {side} = :phone"
            f" ORDER BY seq {order} LIMIT :limit + :offset)"
            for side in ("to_number", "origin_number")
        )
        source = f"FROM messages WHERE seq IN ({sides})"
    if criteria.q is not None:
        given["q"] = f"%{escape_like(criteria.q)}%"
    rows = connection.execute(
        f"SELECT {COLUMNS} {source} ORDER BY seq {order} LIMIT :limit OFFSET :offset",
        {**given, "account_id": account_id, "offset": offset, "limit": limit},
    )
    found = [Message._make(row) for row in rows]
    return found[::-1] if order == "ASC" else found


def _list_index_conditions(criteria: Criteria) -> list[str]:
    """Return the WHERE condition of a partial index that fits the criteria. If no index fits, return an empty list.

    SQLite uses a partial index only for a query that contains the WHERE condition of the index.
    """
    if criteria.state in ("unconfirmed", "error"):
        return ["state <> 'sent'"]
    return ["direction = 'inbound'"] if criteria.direction == "inbound" else []


def escape_like(text: str) -> str:
    r"""Return a text with backslashes before the special characters of LIKE. The pattern needs ESCAPE '\'."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def update_waiting_message(connection: sqlite3.Connection, *, message: Message) -> None:
    """Update the body, recipient and times of a scheduled message."""
    values = message._asdict()
    (former_number,) = connection.execute("SELECT to_number FROM messages WHERE id = :id", values).fetchone()
    connection.execute(
        "UPDATE messages SET body = :body, to_number = :to_number, to_country = :to_country,"
        " to_carrier = :to_carrier, send_at = :send_at, due_at = :due_at, expires_at = :expires_at WHERE id = :id",
        values,
    )
    numbers = (former_number, message.to_number)
    refresh_conversations(connection, phones={(message.account_id, number) for number in numbers})


def update_body(connection: sqlite3.Connection, *, message_id: str, body: str) -> None:
    """Replace the body of a message."""
    connection.execute("UPDATE messages SET body = :body WHERE id = :id", {"id": message_id, "body": body})


def delete_message(connection: sqlite3.Connection, *, message: Message) -> None:
    """Remove a message."""
    delete_messages(connection, account_id=message.account_id, message_ids=[message.id])


def delete_messages(connection: sqlite3.Connection, *, account_id: int, message_ids: Iterable[str]) -> int:
    """Remove messages of an account. The state of a message does not matter. Returns the number of removed messages.

    The function also removes messages that Phonify is currently sending. Phonify then ignores the outcome of the
    attempt.
    """
    phones = []
    for message_id in message_ids:
        phones += connection.execute(
            f"DELETE FROM messages WHERE id = :id AND account_id = :account_id RETURNING {_PHONE}",
            {"id": message_id, "account_id": account_id},
        ).fetchall()
    refresh_conversations(connection, phones={(account_id, phone) for (phone,) in phones})
    return len(phones)


# The functions below remove only messages in a final state. So each accepted message is delivered or fails.


def delete_settled(
    connection: sqlite3.Connection, *, account_id: int, limit: int, after: int = 0, upto_id: str | None = None
) -> int | None:
    """Remove at most `limit` messages of an account, beginning with the oldest message.

    Messages in the state `unconfirmed` are kept. The `seq` of each removed message is greater than the parameter
    `after`. If `upto_id` is given, the messages with greater ids are kept. Returns the `seq` of the last removed
    message, or `None` if no message was removed.
    """
    return _delete(
        connection,
        "account_id = :account_id AND seq > :after AND id <= coalesce(:upto_id, '~') ORDER BY seq",
        {"account_id": account_id, "after": after, "limit": limit, "upto_id": upto_id},
    )


def delete_old(connection: sqlite3.Connection, *, id_below: str, limit: int, after: int = 0) -> int | None:
    """Remove old messages of all accounts. A message is old if its id is smaller than `id_below`.

    `limit`, `after` and the result have the same meaning as in `delete_settled`.
    """
    # The order of the ids is the order of time. created_at is not used, because it has no index.
    return _delete(
        connection,
        "id < :id_below AND seq > :after ORDER BY id",
        {"id_below": id_below, "after": after, "limit": limit},
    )


def _delete(connection: sqlite3.Connection, which: str, values: dict[str, Any]) -> int | None:
    found = connection.execute(
        f"SELECT seq, account_id, {_PHONE} FROM messages WHERE state <> 'unconfirmed' AND {which} LIMIT :limit", values
    ).fetchall()
    connection.executemany("DELETE FROM messages WHERE seq = ?", [(seq,) for seq, _, _ in found])
    refresh_conversations(connection, phones={(account_id, phone) for _, account_id, phone in found})
    return max((seq for seq, _, _ in found), default=None)


def refresh_conversations(connection: sqlite3.Connection, *, phones: Iterable[tuple[int, str]]) -> None:
    """Update the given conversations. A conversation without messages is removed.

    Each item of `phones` identifies a conversation. The item contains the id of an account and the number of a phone.
    Call this function after you have changed or removed messages. SQLite can use the `seq` of a removed message for a
    new message. So `read_seq` must never be greater than `last_seq`.
    """
    for account_id, phone in phones:
        values = {"account_id": account_id, "phone": phone}
        (last_seq,) = connection.execute(_LAST_SEQ, values).fetchone()
        if last_seq is None:
            connection.execute("DELETE FROM conversations WHERE account_id = :account_id AND phone = :phone", values)
        else:
            connection.execute(
                "INSERT INTO conversations (account_id, phone, last_seq) VALUES (:account_id, :phone, :last_seq)"
                " ON CONFLICT DO UPDATE SET last_seq = :last_seq, read_seq = min(read_seq, :last_seq)",
                {**values, "last_seq": last_seq},
            )
