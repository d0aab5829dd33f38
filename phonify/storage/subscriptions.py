"""The SQL for the tables `subscriptions` and `keyword_replies`.

An account is allowed to send messages only to subscribed phones. The table `keyword_replies` contains an account's
extra opt-out keywords and its automatic replies to keywords.
"""

import sqlite3

from .records import KeywordReplies, Reason, SubscriptionRow

_IS_PHONE = "phone LIKE '+%'"  # excludes short codes and alphanumeric senders


def get_subscription(connection: sqlite3.Connection, *, account_id: int, phone: str) -> SubscriptionRow:
    """Return the subscription of a phone. By default, a phone is subscribed and has no row in the table."""
    row = connection.execute(
        "SELECT phone, subscribed, changed_at, reason FROM subscriptions"
        " WHERE account_id = :account_id AND phone = :phone",
        {"account_id": account_id, "phone": phone},
    ).fetchone()
    return _subscription(row) if row else SubscriptionRow(phone, subscribed=True, changed_at=None, reason=None)


def _subscription(row: tuple[str, int, str | None, Reason | None]) -> SubscriptionRow:
    return SubscriptionRow(row[0], bool(row[1]), row[2], row[3])


def put_subscription(
    connection: sqlite3.Connection, *, account_id: int, phone: str, subscribed: bool, reason: Reason, now: str
) -> bool:
    """Store whether a phone is subscribed. Returns False if nothing has changed."""
    if get_subscription(connection, account_id=account_id, phone=phone).subscribed == subscribed:
        return False
    connection.execute(
        "INSERT INTO subscriptions (account_id, phone, subscribed, reason, changed_at)"
        " VALUES (:account_id, :phone, :subscribed, :reason, :now)"
        " ON CONFLICT DO UPDATE SET subscribed = :subscribed, reason = :reason, changed_at = :now",
        {"account_id": account_id, "phone": phone, "subscribed": int(subscribed), "reason": reason, "now": now},
    )
    return True


# These lists have only phones. Short codes and alphanumeric senders have conversations too, but can't get messages.


def list_phones(connection: sqlite3.Connection, *, account_id: int, offset: int, limit: int) -> list[SubscriptionRow]:
    """Return the phones that have a conversation with an account. The phone with the latest message comes first."""
    rows = connection.execute(
        "SELECT c.phone, coalesce(s.subscribed, 1), s.changed_at, s.reason FROM"
        f" (SELECT phone, last_seq FROM conversations WHERE account_id = :account_id AND {_IS_PHONE}"
        "  ORDER BY last_seq DESC LIMIT :limit OFFSET :offset) AS c LEFT JOIN subscriptions AS s"
        " ON s.account_id = :account_id AND s.phone = c.phone ORDER BY c.last_seq DESC",
        {"account_id": account_id, "offset": offset, "limit": limit},
    )
    return [_subscription(row) for row in rows]


def list_subscriptions(
    connection: sqlite3.Connection, *, account_id: int, offset: int, limit: int
) -> list[SubscriptionRow]:
    """Return the phones that have a conversation or a stored subscription.

    The phones with a conversation come first, in the order of `list_phones`. The other phones are sorted by number.
    """
    found = list_phones(connection, account_id=account_id, offset=offset, limit=limit)
    if len(found) == limit:
        return found
    (known,) = connection.execute(
        f"SELECT count(*) FROM conversations WHERE account_id = :account_id AND {_IS_PHONE}",
        {"account_id": account_id},
    ).fetchone()
    rows = connection.execute(
        "SELECT phone, subscribed, changed_at, reason FROM subscriptions AS s WHERE account_id = :account_id"
        " AND NOT EXISTS (SELECT 1 FROM conversations AS c WHERE c.account_id = :account_id AND c.phone = s.phone)"
        " ORDER BY phone LIMIT :limit OFFSET :offset",
        {"account_id": account_id, "offset": max(0, offset - known), "limit": limit - len(found)},
    )
    return [*found, *(_subscription(row) for row in rows)]


def get_replies(connection: sqlite3.Connection, *, account_id: int) -> KeywordReplies:
    """Return an account's extra opt-out keywords and its automatic replies to keywords."""
    row = connection.execute(
        "SELECT stop_keywords, stop_reply, start_reply, help_reply FROM keyword_replies WHERE account_id = :account_id",
        {"account_id": account_id},
    ).fetchone()
    return KeywordReplies(tuple(row[0].split("\n")) if row[0] else (), *row[1:]) if row else KeywordReplies()


def put_replies(connection: sqlite3.Connection, *, account_id: int, replies: KeywordReplies) -> None:
    """Store an account's extra opt-out keywords and its automatic replies to keywords."""
    connection.execute(
        "INSERT INTO keyword_replies VALUES (:account_id, :stop_keywords, :stop_reply, :start_reply, :help_reply)"
        " ON CONFLICT DO UPDATE SET stop_keywords = :stop_keywords, stop_reply = :stop_reply,"
        " start_reply = :start_reply, help_reply = :help_reply",
        {"account_id": account_id, **replies._asdict(), "stop_keywords": "\n".join(replies.stop_keywords)},
    )
